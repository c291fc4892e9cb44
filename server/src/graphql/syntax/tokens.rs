//! Tokens (<https://spec.graphql.org/draft/#sec-Appendix-Grammar-Summary.Lexical-Tokens>), with their places.
//!
//! Columns count UTF-16 code units, as editors and the reference implementation do.

use async_graphql::Pos;

use super::SyntaxError;

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub enum Token<'t> {
    /// One of `! $ & ( ) : = @ [ ] { | }`.
    Punctuator(char),
    /// `...`
    Spread,
    /// A name or a keyword.
    Name(&'t str),
    /// A whole number, as written.
    Int(&'t str),
    /// A number with a fraction or an exponent, as written.
    Float(&'t str),
    /// A string, its escapes resolved.
    String(String),
    /// The end of the document.
    End,
}

impl Token<'_> {
    /// As an error names it.
    pub fn describe(&self) -> String {
        match self {
            Self::Punctuator(c) => format!("`{c}`"),
            Self::Spread => "`...`".into(),
            Self::Name(text) | Self::Int(text) | Self::Float(text) => format!("`{text}`"),
            Self::String(_) => "a string".into(),
            Self::End => "the end of the document".into(),
        }
    }
}

/// Cuts a text into tokens.
pub struct Tokens<'t> {
    rest: &'t str,
    line: usize,
    column: usize,
}

impl<'t> Tokens<'t> {
    /// The tokens of a text.
    pub fn of(text: &'t str) -> Self {
        Self { rest: text, line: 1, column: 1 }
    }

    /// The next token and where it begins.
    pub fn next(&mut self) -> Result<(Token<'t>, Pos), SyntaxError> {
        self.skip_ignored();
        let at = self.place();
        let Some(first) = self.rest.chars().next() else { return Ok((Token::End, at)) };
        let token = match first {
            '!' | '$' | '&' | '(' | ')' | ':' | '=' | '@' | '[' | ']' | '{' | '|' | '}' => {
                self.take(1);
                Token::Punctuator(first)
            }
            '.' if self.rest.starts_with("...") => {
                self.take(3);
                Token::Spread
            }
            '_' | 'a'..='z' | 'A'..='Z' => {
                let end = self.rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
                Token::Name(self.take(end.unwrap_or(self.rest.len())))
            }
            '-' | '0'..='9' => self.number(at)?,
            '"' if self.rest.starts_with("\"\"\"") => Token::String(self.block_string(at)?),
            '"' => Token::String(self.string(at)?),
            other => return Err(SyntaxError::new(format!("unexpected character {other:?}"), at)),
        };
        Ok((token, at))
    }

    fn place(&self) -> Pos {
        Pos { line: self.line, column: self.column }
    }

    /// Takes so many bytes, none of which ends a line.
    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        self.column += taken.chars().map(char::len_utf16).sum::<usize>();
        taken
    }

    /// Takes the end of a line, if it stands here.
    fn take_line_end(&mut self) -> Option<&'t str> {
        let end = ["\r\n", "\n", "\r"].into_iter().find(|end| self.rest.starts_with(end))?;
        let taken = self.take(end.len());
        (self.line, self.column) = (self.line + 1, 1);
        Some(taken)
    }

    fn skip_ignored(&mut self) {
        loop {
            let blanks = self.rest.len() - self.rest.trim_start_matches([' ', '\t', ',', '\u{feff}']).len();
            self.take(blanks);
            if self.rest.starts_with('#') {
                self.take(self.rest.find(['\n', '\r']).unwrap_or(self.rest.len()));
            }
            if self.take_line_end().is_none() {
                return;
            }
        }
    }

    fn number(&mut self, at: Pos) -> Result<Token<'t>, SyntaxError> {
        let bytes = self.rest.as_bytes();
        let digits = |from: usize| bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
        let is = |place: usize, wanted: &[u8]| bytes.get(place).is_some_and(|byte| wanted.contains(byte));
        let start = usize::from(is(0, b"-"));
        let whole = digits(start);
        let mut end = start + whole;
        let mut good = whole > 0 && !(whole > 1 && is(start, b"0"));
        let mut is_int = true;
        if is(end, b".") {
            let fraction = digits(end + 1);
            (good, is_int, end) = (good && fraction > 0, false, end + 1 + fraction);
        }
        if is(end, b"eE") {
            let sign = usize::from(is(end + 1, b"+-"));
            let exponent = digits(end + 1 + sign);
            (good, is_int, end) = (good && exponent > 0, false, end + 1 + sign + exponent);
        }
        let goes_on = bytes.get(end).is_some_and(|byte| matches!(byte, b'.' | b'_') || byte.is_ascii_alphabetic());
        let text = self.take(end);
        if !good || goes_on {
            return Err(SyntaxError::new(format!("{text} is no number, or something stands right behind it"), at));
        }
        Ok(if is_int { Token::Int(text) } else { Token::Float(text) })
    }

    fn string(&mut self, at: Pos) -> Result<String, SyntaxError> {
        self.take(1);
        let mut value = String::new();
        loop {
            let plain = self.rest.find(['"', '\\', '\n', '\r']).unwrap_or(self.rest.len());
            value.push_str(self.take(plain));
            match self.rest.as_bytes().first() {
                Some(b'"') => {
                    self.take(1);
                    return Ok(value);
                }
                Some(b'\\') => value.push(self.escape()?),
                _ => return Err(SyntaxError::new("the string does not end on its line", at)),
            }
        }
    }

    /// An escape, whose `\` stands here (<https://spec.graphql.org/draft/#EscapedCharacter>).
    fn escape(&mut self) -> Result<char, SyntaxError> {
        let at = self.place();
        let bad = || SyntaxError::new("a string has an escape that there is not, or half of a surrogate pair", at);
        self.take(1);
        let Some(kind) = self.rest.chars().next() else { return Err(bad()) };
        let simple = match kind {
            '"' | '\\' | '/' => Some(kind),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'u' => None,
            _ => return Err(bad()),
        };
        self.take(kind.len_utf8());
        if let Some(c) = simple {
            return Ok(c);
        }
        if let Some(braced) = self.rest.strip_prefix('{') {
            let digits = braced.split_once('}').map(|(digits, _)| digits).ok_or_else(bad)?;
            let c = hexadecimal(digits).and_then(char::from_u32).ok_or_else(bad)?;
            self.take(digits.len() + 2);
            return Ok(c);
        }
        let first = self.unit().ok_or_else(bad)?;
        if let Some(c) = char::from_u32(first) {
            return Ok(c);
        }
        if !self.rest.starts_with("\\u") {
            return Err(bad());
        }
        self.take(2);
        let units = [first, self.unit().ok_or_else(bad)?].map(|unit| u16::try_from(unit).unwrap_or_default());
        char::decode_utf16(units).next().and_then(Result::ok).ok_or_else(bad)
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u32> {
        const DIGITS: usize = 4;
        let unit = hexadecimal(self.rest.get(..DIGITS)?)?;
        self.take(DIGITS);
        Some(unit)
    }

    fn block_string(&mut self, at: Pos) -> Result<String, SyntaxError> {
        const QUOTES: usize = 3;
        self.take(QUOTES);
        let mut raw = String::new();
        loop {
            let plain = self.rest.find(['"', '\\', '\n', '\r']).unwrap_or(self.rest.len());
            raw.push_str(self.take(plain));
            if self.take_line_end().is_some() {
                raw.push('\n');
            } else if self.rest.starts_with("\"\"\"") {
                self.take(QUOTES);
                return Ok(dedented(&raw));
            } else if self.rest.starts_with("\\\"\"\"") {
                self.take(QUOTES + 1);
                raw.push_str("\"\"\"");
            } else if self.rest.is_empty() {
                return Err(SyntaxError::new("the block string does not end", at));
            } else {
                raw.push_str(self.take(1));
            }
        }
    }
}

fn hexadecimal(digits: &str) -> Option<u32> {
    let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if all { u32::from_str_radix(digits, 16).ok() } else { None }
}

/// The value of a block string (<https://spec.graphql.org/draft/#BlockStringValue()>).
fn dedented(raw: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let lines: Vec<&str> = raw.split('\n').collect();
    let is_blank = |line: &&str| indent(line) == line.len();
    let common = lines.iter().skip(1).filter(|line| !is_blank(line)).map(|line| indent(line)).min().unwrap_or(0);
    let cut = |(number, line): (usize, &&'_ str)| {
        let line = *line;
        if number == 0 { line.to_owned() } else { line.get(common..).unwrap_or_default().to_owned() }
    };
    let cut: Vec<String> = lines.iter().enumerate().map(cut).collect();
    let (Some(first), Some(last)) =
        (lines.iter().position(|line| !is_blank(line)), lines.iter().rposition(|line| !is_blank(line)))
    else {
        return String::new();
    };
    cut.get(first..=last).unwrap_or_default().join("\n")
}
