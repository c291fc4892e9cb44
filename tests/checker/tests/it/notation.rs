//! Histories in few words, one transaction a line: `1-4 aborted: read x 1; write x 2 over 1; range 0..9 [r=3 s=4]`.
//! Operations are written as verdicts print them; a transaction that committed needs no outcome.

use weir_checker::{Operation, Outcome, Transaction};

/// Reads a history; the lines are numbered from T1.
pub fn history(text: &str) -> Vec<Transaction> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).zip(1..).map(|(line, n)| transaction(line, n)).collect()
}

fn transaction(line: &str, client: u32) -> Transaction {
    let (head, operations) = line.split_once(':').unwrap();
    let (instants, outcome) = head.split_once(' ').unwrap_or((head, "ok"));
    let (start, end) = instants.split_once('-').unwrap();
    let outcome = match outcome {
        "ok" => Outcome::Committed,
        "aborted" => Outcome::Aborted,
        "unknown" => Outcome::Unknown,
        _ => panic!("{line}"),
    };
    let operations = operations.split(';').filter(|text| !text.trim().is_empty()).map(operation).collect();
    Transaction { client, start: number(start), end: number(end), outcome, operations }
}

fn operation(text: &str) -> Operation {
    let words: Vec<&str> = text.split(['[', ']', ' ']).filter(|word| !word.is_empty()).collect();
    let named = |name: &str| words.iter().position(|word| *word == name).map(|at| words[at + 1]);
    let key = words[1].to_owned();
    match words[0] {
        "append" => Operation::Append { key, value: number(words[2]) },
        "list" => Operation::List { key, values: words[2..].iter().map(|word| number(word)).collect() },
        "read" => Operation::Read { key, value: (words[2] != "-").then(|| number(words[2])) },
        "write" => Operation::Write {
            key,
            over: named("over").map(number),
            value: number(words[2]),
            at: named("at").map(|at| at.parse().unwrap()),
        },
        "delete" => Operation::Delete { key, over: number(words[3]) },
        "range" => {
            let (from, to) = key.split_once("..").unwrap();
            let rows = words[2..].iter().map(|row| row.split_once('=').unwrap());
            Operation::Range {
                from: from.parse().unwrap(),
                to: to.parse().unwrap(),
                rows: rows.map(|(key, value)| (key.to_owned(), number(value))).collect(),
            }
        }
        _ => panic!("{text}"),
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}
