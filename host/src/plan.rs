//! Plans trials from options: blocks, sessions, cells, and their order. Pure: no clock, no files, no printing.
//!
//! A **block** runs every cell once. The order of the backends changes from block to block. Each backend has a **session** for
//! each parallelism, which runs its **cells** in an order shuffled from the seed. The first backend of a block has a cool
//! machine, and a backend may slow the next one: over the blocks every backend has every place, and every other backend before
//! it, about equally often (`order`). All backends of a block have the same order of cells, so that a cell is compared with
//! cells that had the same predecessors.

use std::collections::HashSet;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

pub(crate) mod common_size;
mod data;
pub(crate) mod defaults;
mod estimate;
pub(crate) mod matrix;
mod order;
mod point;
mod seed;
pub(crate) mod whole_rows;

#[cfg(test)]
mod carry_over;
#[cfg(test)]
mod tests;

pub(crate) use data::Purpose;
pub(crate) use data::{DataId, data_seed};
pub(crate) use estimate::estimate;
pub(crate) use matrix::{BackendChoice, Matrix, PlanError, Variation, WorkloadChoice};
pub(crate) use point::{Cell, Point};
use seed::{Stream, draw, shuffle};

/// All trials of a run, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// All blocks, in order.
    pub blocks: Vec<Block>,
    hash: String,
}

/// One repetition of everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Its number, from 0.
    pub index: u32,
    /// Run one after the other: no two engines run at a time.
    pub sessions: Vec<Session>,
}

/// One start of a backend's engine, and what it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    pub backend: BackendChoice,
    /// How many operator calls may be in flight.
    pub parallelism: u32,
    /// The number of machines that is asked for.
    pub nodes: u32,
    /// Options with which the backend is opened.
    pub options: Map<String, Value>,
    /// Each is warmed up and measured before the next.
    pub cells: Vec<Cell>,
}

/// The identity of a measured trial.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct TrialId {
    pub block: u32,
    /// The name under which the backend takes part.
    pub backend: String,
    /// The run and the point.
    pub run_id: String,
}

impl fmt::Display for TrialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/backend={}/block={}", self.run_id, self.backend, self.block)
    }
}

impl Plan {
    /// Everything that the matrix asks for.
    pub fn new(matrix: &Matrix) -> Result<Self, PlanError> {
        matrix.check()?;
        let participants = matrix.participants();
        let orders = order::orders(participants.len(), matrix.blocks as usize, matrix.aa_pair());
        let blocks = (0..).zip(orders).map(|(index, order)| {
            let backends: Vec<_> = order.into_iter().map(|number| participants[number].clone()).collect();
            block(matrix, index, &backends)
        });
        Ok(Self { blocks: blocks.collect(), hash: matrix.hash() })
    }

    /// SHA-256, in hex, of everything that determines the trials of this plan and their order. A run may be resumed only under
    /// the same hash.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Every measured trial, in order.
    pub fn trials(&self) -> impl Iterator<Item = TrialId> {
        self.blocks.iter().flat_map(Block::trials)
    }

    /// The blocks without the trials in `done`, in order, and without the sessions and blocks that have no cell left. A failed
    /// trial is done: its failure is its row.
    pub fn remaining(&self, done: &HashSet<TrialId>) -> Vec<Block> {
        let blocks = self.blocks.iter().map(|block| block.without(done));
        blocks.filter(|block| !block.sessions.is_empty()).collect()
    }
}

impl Block {
    /// Its measured trials, in order.
    pub fn trials(&self) -> impl Iterator<Item = TrialId> {
        let sessions = self.sessions.iter();
        sessions.flat_map(|session| session.cells.iter().map(|cell| self.trial(session, cell)))
    }

    pub fn trial(&self, session: &Session, cell: &Cell) -> TrialId {
        TrialId { block: self.index, backend: session.backend.name.clone(), run_id: cell.run_id.clone() }
    }

    fn without(&self, done: &HashSet<TrialId>) -> Self {
        let left = |session: &Session| {
            let cells = session.cells.iter().filter(|cell| !done.contains(&self.trial(session, cell)));
            Session { cells: cells.cloned().collect(), ..session.clone() }
        };
        let sessions = self.sessions.iter().map(left).filter(|session| !session.cells.is_empty());
        Self { index: self.index, sessions: sessions.collect() }
    }
}

fn block(matrix: &Matrix, index: u32, backends: &[BackendChoice]) -> Block {
    let order_seed = draw(matrix.seed, Stream::Block, index.into());
    let mut parallelisms = matrix.parallelisms.clone();
    shuffle(&mut parallelisms, order_seed, Stream::Sessions);
    let sessions = backends.iter().flat_map(|backend| {
        let session = |parallelism: &u32| session(matrix, backend.clone(), *parallelism, order_seed);
        parallelisms.iter().map(session).collect::<Vec<_>>()
    });
    Block { index, sessions: sessions.collect() }
}

fn session(matrix: &Matrix, backend: BackendChoice, parallelism: u32, order_seed: u64) -> Session {
    let mut cells = matrix.cells(parallelism);
    shuffle(&mut cells, order_seed ^ u64::from(parallelism), Stream::Cells);
    Session { backend, parallelism, nodes: matrix.nodes, options: matrix.options.clone(), cells }
}
