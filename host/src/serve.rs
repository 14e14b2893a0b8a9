//! A small HTTP server for the browsers of this machine. It listens on loopback only and reads nothing of a request but its method,
//! its path and its host; who uses it decides what a path stands for.
//!
//! Web servers that are kept as crates either have no deadlines for slow clients or bring an asynchronous runtime. This one answers
//! `GET` and `HEAD` of a few pages, closes the connection after each, and has a limit for everything that a client can make long.

mod answer;
mod connection;
mod request;
mod server;

pub(crate) use answer::{Answer, Status};
pub(crate) use server::Server;
