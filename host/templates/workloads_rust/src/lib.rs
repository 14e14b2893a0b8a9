//! The workload {{name}}: squares numbers of 8 bytes, and drops some. Your own work goes in its place.

use plugin_api::{BatchBuilder, Parameter, Parameters, Plan, StageKind};
use plugin_api::{Workload, WorkloadError, WorkloadSpec};

#[cfg(test)]
mod tests;

plugin_api::export_workloads!(name = "{{name}}", workloads = [Squares]);

type Done = Result<(), WorkloadError>;

struct Squares {
    numbers: std::ops::Range<u64>,
    divisor: u64,
}

impl Workload for Squares {
    const NAME: &'static str = "{{name}}";
    const DESCRIPTION: &'static str = "Squares numbers, and drops some";

    fn parameters() -> Vec<Parameter> {
        let divisor = Parameter::integer("divisor", "drops its multiples", 3, 2, 99);
        vec![divisor]
    }

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        let (start, divisor) = (spec.seed % 1000, parameters.integer("divisor"));
        let numbers = start..start + spec.total_items;
        Ok(Self { numbers, divisor })
    }

    fn plan(&self) -> Plan {
        let squared = Plan::new().then(StageKind::Map, "square");
        squared.then(StageKind::Filter, "drop")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        out.push(&(self.numbers.start + index).to_le_bytes());
        Ok(())
    }

    fn apply(&self, stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        let malformed = WorkloadError::Malformed("an item has 8 bytes");
        let number = u64::from_le_bytes(item.try_into().map_err(|_| malformed)?);
        match stage {
            1 => out.push(&number.wrapping_mul(number).to_le_bytes()),
            _ if number % self.divisor == 0 => {}
            _ => out.push(item),
        }
        Ok(())
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        let squares = self.numbers.clone().map(|number| number.wrapping_pow(2));
        let kept = squares.filter(|square| square % self.divisor != 0);
        kept.for_each(|square| sink(&square.to_le_bytes()));
    }
}
