//! Parquet: a row for each trial, for pandas, DuckDB and other programs that read tables. The columns have the names of the keys of a
//! record, and their types.
//!
//! Texts are as they are in the records, without the escapes of the formats that people read: no terminal shows such a file.

use std::sync::Arc;

use jiff::Timestamp;
use parquet::column::writer::{ColumnWriter, ColumnWriterImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::error::ReportError;
use crate::compare::{Input, without_copies};
use crate::record::Resources;
use crate::text::word;

/// The type of a column, and how its value is read of a trial. Any value may be absent.
enum Column {
    Text(fn(&Input) -> Option<String>),
    Whole(fn(&Input) -> Option<u64>),
    Number(fn(&Input) -> Option<f64>),
    Flag(fn(&Input) -> Option<bool>),
    /// A time in UTC. A text that is no time is absent.
    Time(fn(&Input) -> &str),
}

use Column::{Flag, Number, Text, Time, Whole};

/// The columns. First those of `unified_results.csv`, in its order.
const COLUMNS: [(&str, Column); 44] = [
    ("backend", Text(|it| Some(it.record.backend.clone()))),
    ("workload", Text(|it| Some(it.record.workload.clone()))),
    ("run_id", Text(|it| Some(it.record.run_id.clone()))),
    ("seed", Whole(|it| Some(it.record.seed))),
    ("nodes", Whole(|it| Some(it.record.nodes.into()))),
    ("parallelism", Whole(|it| Some(it.record.parallelism.into()))),
    ("throughput", Number(|it| it.record.throughput)),
    ("latency_p50", Number(|it| it.record.latency_p50)),
    ("latency_p95", Number(|it| it.record.latency_p95)),
    ("latency_p99", Number(|it| it.record.latency_p99)),
    ("success_rate", Number(|it| it.record.success_rate)),
    ("duration_seconds", Number(|it| it.record.duration_seconds)),
    ("timestamp", Time(|it| &it.record.timestamp)),
    ("config_hash", Text(|it| it.record.config_hash.clone())),
    ("backend_hash", Text(|it| it.record.backend_hash.clone())),
    ("kind", Text(|it| Some(word(it.kind)))),
    ("status", Text(|it| Some(word(it.outcome.status())))),
    ("error_kind", Text(|it| it.outcome.error().map(|error| error.fault.label().into_owned()))),
    ("error_message", Text(|it| it.outcome.error().map(|error| error.message.clone()))),
    ("total_items", Whole(|it| it.record.metadata.total_items)),
    ("cores", Whole(|it| it.record.metadata.cores.as_ref().map(|cores| cores.len() as u64))),
    ("scheduler_name", Text(|it| it.record.metadata.scheduler_name.clone())),
    ("extra", Text(|it| serde_json::to_string(&it.record.metadata.extra).ok())),
    ("block", Whole(|it| it.record.metadata.block.map(u64::from))),
    ("data_seed", Whole(|it| it.record.metadata.data_seed)),
    ("results_count", Whole(|it| it.record.metadata.results_count)),
    ("input_throughput", Number(|it| it.record.metadata.input_throughput)),
    ("worker_elapsed", Number(|it| it.record.metadata.worker_elapsed)),
    ("host_elapsed", Number(|it| it.record.metadata.host_elapsed)),
    ("load_seconds", Number(|it| it.record.metadata.phases.load_seconds)),
    ("open_seconds", Number(|it| it.record.metadata.phases.open_seconds)),
    ("prepare_seconds", Number(|it| it.record.metadata.phases.prepare_seconds)),
    ("cpu_seconds", Number(|it| used(it).cpu_seconds)),
    ("peak_memory_bytes", Whole(|it| used(it).peak_memory_bytes)),
    ("memory_bytes", Whole(|it| used(it).memory_bytes)),
    ("reference_cpu_seconds", Number(|it| it.record.metadata.reference_cpu_seconds)),
    ("efficiency", Number(|it| it.record.metadata.efficiency)),
    ("overhead_seconds_per_item", Number(|it| it.record.metadata.overhead_seconds_per_item)),
    ("kernel_seconds", Number(|it| it.record.metadata.metg.map(|point| point.kernel_seconds))),
    ("locked", Flag(|it| it.record.metadata.locked)),
    ("hostname", Text(|it| it.record.metadata.system_profile.as_ref()?.hostname.clone())),
    ("command", Text(|it| it.record.metadata.command.clone())),
    ("file", Text(|it| Some(it.source.file.clone()))),
    ("line", Whole(|it| Some(it.source.line))),
];

fn used(input: &Input) -> Resources {
    input.record.metadata.resources
}

/// The trials as a file of Parquet, with one row group and without compression: a trial is some hundred bytes. A copy has no row, as it
/// would count twice in whatever is computed of the rows.
pub(crate) fn parquet(trials: &[Input]) -> std::result::Result<Vec<u8>, ReportError> {
    let trials = without_copies(trials);
    let fields: String = COLUMNS.iter().map(|(name, column)| column.field(name)).collect();
    let schema = parse_message_type(&format!("message trial {{ {fields} }}"))?;
    let properties = WriterProperties::builder()
        .set_created_by(concat!("crossrun version ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let mut bytes = Vec::new();
    let mut file = SerializedFileWriter::new(&mut bytes, Arc::new(schema), Arc::new(properties))?;
    let mut rows = file.next_row_group()?;
    for (_, column) in &COLUMNS {
        let mut writer =
            rows.next_column()?.ok_or_else(|| ParquetError::General("a column is missing".into()))?;
        column.write(writer.untyped(), &trials)?;
        writer.close()?;
    }
    rows.close()?;
    file.close()?;
    Ok(bytes)
}

impl Column {
    /// The field of the schema.
    fn field(&self, name: &str) -> String {
        let (kind, meaning) = match self {
            Text(_) => ("BYTE_ARRAY", "(STRING)"),
            Whole(_) => ("INT64", "(INTEGER(64,false))"),
            Number(_) => ("DOUBLE", ""),
            Flag(_) => ("BOOLEAN", ""),
            Time(_) => ("INT64", "(TIMESTAMP(MICROS,true))"),
        };
        format!("OPTIONAL {kind} {name} {meaning}; ")
    }

    fn write(&self, writer: &mut ColumnWriter<'_>, trials: &[&Input]) -> Result<()> {
        match (self, writer) {
            (Text(read), ColumnWriter::ByteArrayColumnWriter(to)) => {
                put(to, trials, |it| Some(ByteArray::from(read(it)?.into_bytes())))
            }
            // The bits are those of the unsigned number, as the schema says.
            (Whole(read), ColumnWriter::Int64ColumnWriter(to)) => {
                put(to, trials, |it| read(it).map(u64::cast_signed))
            }
            (Number(read), ColumnWriter::DoubleColumnWriter(to)) => put(to, trials, read),
            (Flag(read), ColumnWriter::BoolColumnWriter(to)) => put(to, trials, read),
            (Time(read), ColumnWriter::Int64ColumnWriter(to)) => put(to, trials, |it| microseconds(read(it))),
            _ => Err(ParquetError::General("a column has the type of another".into())),
        }
    }
}

/// Writes the values that are there, and for each trial whether its value is (1) or not (0).
fn put<T: DataType>(
    to: &mut ColumnWriterImpl<'_, T>,
    trials: &[&Input],
    read: impl Fn(&Input) -> Option<T::T>,
) -> Result<()> {
    let values: Vec<_> = trials.iter().copied().map(read).collect();
    let there: Vec<_> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<_> = values.into_iter().flatten().collect();
    to.write_batch(&values, Some(&there), None).map(drop)
}

fn microseconds(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::Field;

    use super::*;
    use crate::compare::model::Source;
    use crate::record::format::COLUMNS as TABLE_COLUMNS;
    use crate::record::trial::examples;
    use crate::record::{TrialRecord, UnifiedRecord};

    /// A verified trial, one with a wrong answer, and one that failed.
    fn trials() -> Vec<Input> {
        let input = |(line, trial): (u64, TrialRecord)| {
            Input::trial(Source { file: "run/trials.jsonl".into(), line }, trial)
        };
        (1..).zip([examples::verified(), examples::wrong(), examples::failed()]).map(input).collect()
    }

    /// The cells of a column.
    fn read(trials: &[Input], column: &str) -> Vec<Field> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&parquet(trials).unwrap()).unwrap();
        let file = SerializedFileReader::new(file).unwrap();
        let rows = file.get_row_iter(None).unwrap().map(Result::unwrap);
        let cell = |row: parquet::record::Row| {
            row.into_columns().into_iter().find(|(name, _)| name == column).unwrap().1
        };
        rows.map(cell).collect()
    }

    #[test]
    fn the_columns_of_the_table_beside_the_records_come_first() {
        let names: Vec<_> = COLUMNS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names[..TABLE_COLUMNS.len()], TABLE_COLUMNS);
        assert_eq!(crate::first_seen::distinct(&names).len(), names.len());
    }

    #[test]
    fn every_value_is_read_back_with_its_type_and_an_absent_one_is_null() {
        let mut trials = trials();
        trials[0].record.seed = u64::MAX;
        trials[0].record.metadata.cores = Some(vec![0, 2]);
        trials[0].record.duration_seconds = Some(0.1 + 0.2);
        trials[0].record.backend = "=a\u{1b}[31m\0".into();
        trials[0].record.timestamp = "2026-02-21T03:58:47.134641+00:00".into();
        trials[1].record.timestamp = "yesterday".into();
        assert_eq!(read(&trials, "seed")[0], Field::ULong(u64::MAX));
        assert_eq!(read(&trials, "backend")[0], Field::Str("=a\u{1b}[31m\0".into()));
        assert_eq!(read(&trials, "duration_seconds"), [Field::Double(0.1 + 0.2), Field::Null, Field::Null]);
        assert_eq!(
            read(&trials, "timestamp")[..2],
            [Field::TimestampMicros(1_771_646_327_134_641), Field::Null]
        );
        assert_eq!(read(&trials, "cores")[..2], [Field::ULong(2), Field::Null]);
        assert_eq!(read(&trials, "line"), [1, 2, 3].map(Field::ULong));
        let status = ["verified", "wrong", "failed"].map(|status| Field::Str(status.into()));
        assert_eq!(read(&trials, "status"), status);
        assert_eq!(read(&trials, "error_kind")[..2], [Field::Null, Field::Str("wrong_answer".into())]);
        assert!(matches!(read(&trials, "locked")[0], Field::Bool(_)));
    }

    #[test]
    fn a_copy_of_a_trial_has_no_row() {
        let mut trials = trials();
        for (number, trial) in trials.iter_mut().enumerate() {
            trial.record.timestamp = format!("2026-02-21T03:58:4{number}.134641+00:00");
        }
        // As a file of measured trials alone has it, whose first trial is no warm-up.
        let copy = |input: Input| Input {
            source: Source { file: "copy/unified_results.jsonl".into(), ..input.source },
            run_started: Some("later".into()),
            ..input
        };
        let twice: Vec<_> = trials.iter().cloned().chain(trials.iter().cloned().map(copy)).collect();
        let file = || Field::Str("run/trials.jsonl".into());
        assert_eq!(read(&twice, "file"), [file(), file(), file()]);
    }

    #[test]
    fn trials_of_another_program_at_one_time_have_a_row_for_each_point() {
        let mut failed = trials().pop().unwrap();
        (failed.record.metadata.block, failed.record.metadata.config) = (None, None);
        let other = Input {
            record: UnifiedRecord { parallelism: failed.record.parallelism + 1, ..failed.record.clone() },
            ..failed.clone()
        };
        assert_eq!(read(&[failed.clone(), other, failed], "backend").len(), 2);
    }

    #[test]
    fn no_trials_are_a_table_without_rows() {
        assert_eq!(read(&[], "backend"), []);
    }
}
