//! Plugins as files: where they are looked for, who could have written them, what they are by their bytes, and which of
//! them a name leads to. Nothing of a plugin is run here.

pub(crate) mod discover;
pub(crate) mod inspect;
pub(crate) mod inventory;
pub(crate) mod lock_file;
mod plugin_ref;
pub(crate) mod registry;
pub(crate) mod trust;

pub(crate) use plugin_ref::PluginRef;

/// The folder beside the executable, and in the data directory, that is for plugins only.
pub(crate) const PLUGINS: &str = "plugins";
