//! A bound on nesting. Parsing and printing descend into the syntax tree, and a stack that overflows ends the process,
//! so sources are measured before they are parsed, and the work is done on a stack that fits the bound.
//!
//! The measure is rough: it counts brackets and the length of what stands between separators, outside of strings and
//! comments. Code that a person writes stays far below it.

use std::io;
use std::thread;

use oxc::span::Span;

use super::report::{File, Report, Reported};

/// The stack of a compilation. Pages that are not used cost nothing.
const STACK_BYTES: usize = 256 << 20;

/// The most brackets that may be open at once.
const DEPTH_MAX: usize = 1_000;

/// The longest piece of code without `,`, `;` or a brace: `a = a = a = …` nests without brackets.
pub(super) const RUN_BYTES_MAX: usize = 100_000;

/// Does the work on a stack that is deep enough. Fails where no thread can be had, or where the work panics.
pub(super) fn on_a_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let name = "weir-compile".to_owned();
        let worker = thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn_scoped(scope, work)?;
        worker.join().map_err(|_| io::Error::other("a defect of the compiler, told on standard error"))
    })
}

/// Refuses sources that nest too deeply, or with longer runs than this.
pub(super) fn check(file: &File, run_bytes_max: usize, report: &Report) -> Result<(), Reported> {
    let mut depth = 0_usize;
    let mut run_start = 0;
    let mut bytes = file.text.bytes().enumerate().peekable();
    while let Some((offset, byte)) = bytes.next() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b'{' => (depth, run_start) = (depth + 1, offset),
            b'}' => (depth, run_start) = (depth.saturating_sub(1), offset),
            b',' | b';' => run_start = offset,
            b'"' | b'\'' | b'`' => run_start += skip_string(&mut bytes, byte),
            b'/' if bytes.next_if(|(_, next)| *next == b'/').is_some() => {
                while bytes.next_if(|(_, next)| *next != b'\n').is_some() {
                    run_start += 1;
                }
            }
            b'/' if bytes.next_if(|(_, next)| *next == b'*').is_some() => run_start += skip_comment(&mut bytes),
            _ => {}
        }
        if depth > DEPTH_MAX || offset.saturating_sub(run_start) > run_bytes_max {
            let help = "split it into several constants or functions";
            let span = Span::sized(offset as u32, 1);
            return Err(report.error_with_help(file, span, "this nests too deeply to be compiled", help));
        }
    }
    Ok(())
}

type Bytes<I> = std::iter::Peekable<I>;

/// Skips a string that the quote has opened, and says how long it is. Only templates span lines.
fn skip_string(bytes: &mut Bytes<impl Iterator<Item = (usize, u8)>>, quote: u8) -> usize {
    let mut length = 0;
    while let Some((_, byte)) = bytes.next() {
        length += 1;
        match byte {
            b'\\' => length += usize::from(bytes.next().is_some()),
            b'\n' if quote != b'`' => break,
            byte if byte == quote => break,
            _ => {}
        }
    }
    length
}

/// Skips a block comment, and says how long it is.
fn skip_comment(bytes: &mut Bytes<impl Iterator<Item = (usize, u8)>>) -> usize {
    let mut length = 0;
    let mut last = 0;
    for (_, byte) in bytes {
        length += 1;
        if (last, byte) == (b'*', b'/') {
            break;
        }
        last = byte;
    }
    length
}
