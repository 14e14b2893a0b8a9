//! A graph of tasks on one thread, but for one fault: in the inputs of a task in the middle, in the order of the tasks, or in
//! what reaches the sink.

use std::collections::HashMap;

use plugin_api::workload::GRAPH;
use plugin_api::{BatchBuilder, RunContext, RunResult, RunnerError, WorkloadHandle, WorkloadSpec};

/// The task whose inputs are changed.
const CHANGED: (u32, u32) = (3, 4);
/// The bytes of an output before its payload: its step, its point and its digest.
const HEADER: usize = 24;

type Outputs = HashMap<(u32, u32), Vec<u8>>;

/// Whether the tasks are run by their dependencies.
pub(crate) fn is_granted(spec: &WorkloadSpec, context: &RunContext) -> bool {
    context.workload().plan().graph.is_some() && spec.is_granted(GRAPH)
}

pub(crate) fn run(spec: &WorkloadSpec, context: &RunContext, fault: &str) -> Result<RunResult, RunnerError> {
    let started = std::time::Instant::now();
    let workload = context.workload();
    if fault == "nonsense" {
        ask_nonsense(workload);
    }
    let shape = workload.plan().graph.ok_or_else(|| RunnerError::engine("there is no graph"))?;
    let (mut outputs, mut finished) = (Outputs::new(), Vec::new());
    for step in 0..shape.steps as u32 {
        let row = workload.graph_row(step)?;
        let next = if u64::from(step) + 1 < shape.steps { Some(workload.graph_row(step + 1)?) } else { None };
        let mut places: Vec<_> = (0..).zip(row.points()).collect();
        if fault == "task_left_out" && next.is_none() {
            places.pop();
        }
        for (place, point) in places {
            let mut inputs: Vec<Vec<u8>> = row
                .inputs(place)
                .iter()
                .map(|from| outputs.get(&(step - 1, *from)).cloned().unwrap_or_default())
                .collect();
            if (step, point) == CHANGED {
                change(fault, &mut inputs, &outputs);
            }
            let inputs: Vec<_> = inputs.iter().map(Vec::as_slice).collect();
            let mut output = Vec::new();
            if fault == "before_its_inputs" && step + 1 == CHANGED.0 {
                // A task of the next row, of which no input has been made.
                workload.graph_task(step + 1, point, &[], shape.output_bytes as usize, &mut output)?;
            }
            let ran = workload.graph_task(step, point, &inputs, shape.output_bytes as usize, &mut output);
            if fault == "refusal_passed_over" && (step, point) == CHANGED {
                let header = [u64::from(step), u64::from(point), 0].map(u64::to_le_bytes).concat();
                output.resize(shape.output_bytes as usize, 0);
                output[..HEADER].copy_from_slice(&header);
            } else {
                ran?;
            }
            let is_needed = next
                .as_ref()
                .is_some_and(|next| (0..next.width()).any(|place| next.inputs(place).contains(&point)));
            if is_needed {
                outputs.insert((step, point), output);
            } else {
                finished.push(output);
            }
        }
    }
    if fault == "output_twice" {
        finished.extend(finished.first().cloned());
    }
    if fault == "needed_output_in_sink" {
        finished.pop();
        finished.extend(outputs.get(&(shape.steps as u32 - 2, 0)).cloned());
    }
    let batch: BatchBuilder = finished.iter().map(Vec::as_slice).collect();
    let (mut sink, mut encoded) = (workload.new_sink()?, Vec::new());
    batch.encode(&mut encoded)?;
    sink.fold(&encoded)?;
    let state = sink.encode()?.to_vec();
    let elapsed = started.elapsed().as_secs_f64();
    Ok(RunResult::new("misbehaving", spec, elapsed, finished.len() as u64, state))
}

/// Changes the inputs of a task, of which the first is that of the point before it.
fn change(fault: &str, inputs: &mut Vec<Vec<u8>>, outputs: &Outputs) {
    let (step, point) = CHANGED;
    match fault {
        "edge_dropped" | "refusal_passed_over" => drop(inputs.remove(0)),
        "edge_doubled" => inputs.push(inputs[0].clone()),
        "edges_swapped" => inputs.swap(0, 1),
        "edge_from_wrong_step" => inputs[0] = outputs[&(step - 2, point - 1)].clone(),
        // The next two have the header that the edge demands.
        "payload_of_wrong_step" => {
            let wrong = &outputs[&(step - 2, point - 1)];
            inputs[0][HEADER - 8..].copy_from_slice(&wrong[HEADER - 8..]);
        }
        "edge_dropped_and_forged" => inputs[0][HEADER - 8..].fill(0),
        "payload_zeroed" => inputs[0][HEADER..].fill(0),
        "payload_cut" => inputs[0].truncate(HEADER),
        _ => {}
    }
}

/// Asks for rows and tasks that there are not.
fn ask_nonsense(workload: &WorkloadHandle) {
    let mut output = Vec::new();
    for step in [0, 1, u32::MAX - 1, u32::MAX] {
        let _ = workload.graph_row(step);
        for point in [0, 5, u32::MAX] {
            for inputs in [&[][..], &[&b""[..]], &[&[0xff; 64][..]; 3], &[&[0; 64][..]; 300]] {
                for room in [0, 1, 64, 1 << 20] {
                    let _ = workload.graph_task(step, point, inputs, room, &mut output);
                }
            }
        }
    }
}
