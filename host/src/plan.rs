//! From options to trials: blocks, sessions, cells, and their order. Pure: no clock, no files, no printing.
//!
//! A **block** runs every cell once. Within it the backends stand in an order that changes from block to block; each
//! starts its sessions, one for each parallelism, and a **session** runs its **cells** in an order shuffled from the
//! seed. Whoever goes first has a cool machine, and whoever comes after another may be slowed by it: over the blocks every
//! backend has every place, and every other backend before it, about as often as any other (`order`). As all backends of a
//! block have the same order of cells, a cell is compared with one that had the same cells before it.

use std::collections::HashSet;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

mod cell;
pub(crate) mod defaults;
mod estimate;
mod hash;
pub(crate) mod matrix;
mod order;
mod point;
mod seed;

#[cfg(test)]
mod carry_over;
#[cfg(test)]
mod tests;

pub(crate) use cell::Cell;
pub(crate) use estimate::estimate;
pub(crate) use matrix::{BackendChoice, Matrix, PlanError, WorkloadChoice};
pub(crate) use point::Point;
use seed::{Stream, draw, shuffle};

/// What is to be run, in its order.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// All blocks, in order.
    pub blocks: Vec<Block>,
    hash: String,
}

/// One repetition of everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Which, from 0.
    pub index: u32,
    /// The seed of the data of all its measured trials.
    pub data_seed: u64,
    /// One after the other: no two engines are alive at a time.
    pub sessions: Vec<Session>,
}

/// One life of one backend.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    pub backend: BackendChoice,
    /// How many operator calls may be in flight.
    pub parallelism: u32,
    /// How many machines are asked for.
    pub nodes: u32,
    /// Options with which the backend is opened.
    pub options: Map<String, Value>,
    /// Each is warmed up and measured before the next.
    pub cells: Vec<Cell>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To warm the engine up; counted from 0.
    WarmUp(u32),
    Measured,
}

/// What tells one measured trial from all others.
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
        let takers = matrix.takers();
        let orders = order::orders(takers.len(), matrix.blocks as usize, matrix.twins());
        let blocks = (0..).zip(orders).map(|(index, order)| {
            let backends: Vec<_> = order.into_iter().map(|number| takers[number].clone()).collect();
            block(matrix, index, &backends)
        });
        Ok(Self { blocks: blocks.collect(), hash: hash::of(matrix) })
    }

    /// SHA-256, in hex, of everything that decides what this plan does and in which order. A run may only be resumed
    /// under the same one.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Every measured trial, in order.
    pub fn trials(&self) -> impl Iterator<Item = TrialId> {
        self.blocks.iter().flat_map(Block::trials)
    }

    /// What is left, in order, when the trials in `done` have been: sessions and blocks without any cell left are
    /// gone. A failed trial has been done: its failure is its row.
    pub fn remaining(&self, done: &HashSet<TrialId>) -> Vec<Block> {
        let blocks = self.blocks.iter().map(|block| block.without(done));
        blocks.filter(|block| !block.sessions.is_empty()).collect()
    }
}

impl Block {
    /// The seed of the data of a warm-up, counted from 0 for each cell: the same for every backend, and another than
    /// that of the trial that it prepares, so that no engine can answer that from memory.
    pub fn warm_up_seed(&self, warm_up: u32) -> u64 {
        draw(self.data_seed, Stream::WarmUp, warm_up.into())
    }

    /// The seed of the data of a sweep's point, which has a number: the same for every backend, and another for each point,
    /// as a sweep runs many in one session.
    pub fn point_seed(&self, point: u64) -> u64 {
        draw(self.data_seed, Stream::Points, point)
    }

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
        Self { sessions: sessions.collect(), ..*self }
    }
}

fn block(matrix: &Matrix, index: u32, backends: &[BackendChoice]) -> Block {
    let data_seed = draw(matrix.seed, Stream::Block, index.into());
    let mut parallelisms = matrix.parallelisms.clone();
    shuffle(&mut parallelisms, data_seed, Stream::Sessions);
    let sessions = backends.iter().flat_map(|backend| {
        let session = |parallelism: &u32| session(matrix, backend.clone(), *parallelism, data_seed);
        parallelisms.iter().map(session).collect::<Vec<_>>()
    });
    Block { index, data_seed, sessions: sessions.collect() }
}

fn session(matrix: &Matrix, backend: BackendChoice, parallelism: u32, data_seed: u64) -> Session {
    let mut cells = matrix.cells(parallelism);
    shuffle(&mut cells, data_seed ^ u64::from(parallelism), Stream::Cells);
    Session { backend, parallelism, nodes: matrix.nodes, options: matrix.options.clone(), cells }
}
