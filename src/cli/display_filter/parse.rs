//! The grammar of display filters: `and`, `or`, `not`, comparisons, sets.

use crate::cli::display_filter::fields::{self, Field, Kind};
use crate::cli::display_filter::{Expression, Operand, Operator};

/// Brackets and negations inside of each other.
const DEEPEST: usize = 100;

pub(super) fn read(text: &str) -> Result<Expression, String> {
    let mut parser = Parser { words: words(text)?, at: 0, depth: 0 };
    let expression = parser.either()?;
    match parser.peek() {
        None => Ok(expression),
        Some(word) => Err(format!("{} is not expected; write and or or between two tests", word.shown())),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Sign(&'static str),
    Bare(String),
    Quoted(String),
}

impl Word {
    fn shown(&self) -> String {
        match self {
            Word::Sign(sign) => format!("'{sign}'"),
            Word::Bare(word) => format!("'{word}'"),
            Word::Quoted(text) => format!("\"{text}\""),
        }
    }
}

/// Signs, the longer before those with which they begin.
const SIGNS: [&str; 17] =
    ["&&", "||", "==", "!=", "===", "~=", ">=", "<=", ">", "<", "!", "(", ")", "{", "}", ",", "~"];

fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let (quoted, behind) = quoted(&rest[1..])?;
            words.push(Word::Quoted(quoted));
            rest = behind.trim_start();
            continue;
        }
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            words.push(Word::Sign(sign));
            rest = rest[sign.len()..].trim_start();
            continue;
        }
        let end = rest.find(|c: char| c.is_whitespace() || "&|=!<>(){},~\"".contains(c)).unwrap_or(rest.len());
        if end == 0 {
            let meant = if first == '=' { "; write == to compare" } else { "" };
            return Err(format!("'{first}' is not expected{meant}"));
        }
        words.push(Word::Bare(rest[..end].to_owned()));
        rest = rest[end..].trim_start();
    }
    Ok(words)
}

/// Text up to the closing quotation mark; a backslash takes the next character as it is.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
            _ => value.push(letter),
        }
    }
    Err("a quotation mark is not closed".into())
}

struct Parser {
    words: Vec<Word>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Word> {
        self.words.get(self.at)
    }

    fn next(&mut self) -> Option<Word> {
        let word = self.words.get(self.at).cloned();
        self.at += 1;
        word
    }

    /// Takes the next word if it is a sign, or the word for it.
    fn takes(&mut self, sign: &str, word: &str) -> bool {
        let is_it = match self.peek() {
            Some(Word::Sign(found)) => *found == sign,
            Some(Word::Bare(found)) => !word.is_empty() && found.eq_ignore_ascii_case(word),
            _ => false,
        };
        self.at += usize::from(is_it);
        is_it
    }

    fn either(&mut self) -> Result<Expression, String> {
        let mut expression = self.both()?;
        while self.takes("||", "or") {
            expression = Expression::Or(Box::new(expression), Box::new(self.both()?));
        }
        Ok(expression)
    }

    fn both(&mut self) -> Result<Expression, String> {
        let mut expression = self.negated()?;
        while self.takes("&&", "and") {
            expression = Expression::And(Box::new(expression), Box::new(self.negated()?));
        }
        Ok(expression)
    }

    fn negated(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("too many brackets".into());
        }
        let expression = if self.takes("!", "not") {
            Expression::Not(Box::new(self.negated()?))
        } else if self.takes("(", "") {
            let inner = self.either()?;
            if !self.takes(")", "") {
                return Err("a bracket is not closed".into());
            }
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn test(&mut self) -> Result<Expression, String> {
        let name = match self.next() {
            Some(Word::Bare(name)) => name,
            Some(other) => return Err(format!("a field is expected in the place of {}", other.shown())),
            None => return Err("it ends where a field is expected".into()),
        };
        let field = fields::find(&name)?;
        if self.takes("", "in") {
            return self.set(field);
        }
        let Some(operator) = self.operator()? else { return Ok(Expression::There(field)) };
        if operator == Operator::Contains && field.kind != Kind::Text {
            return Err(format!("contains is for text, and {name} holds none"));
        }
        let operand = self.operand(field)?;
        Ok(Expression::Test(field, operator, operand))
    }

    fn operator(&mut self) -> Result<Option<Operator>, String> {
        const WORDS: [(&str, &str, Operator); 8] = [
            ("==", "eq", Operator::Equal),
            ("===", "", Operator::Equal),
            ("!=", "ne", Operator::Different),
            (">", "gt", Operator::Greater),
            ("<", "lt", Operator::Less),
            (">=", "ge", Operator::AtLeast),
            ("<=", "le", Operator::AtMost),
            ("", "contains", Operator::Contains),
        ];
        if self.takes("~", "matches") {
            return Err("regular expressions are not known here; use contains".into());
        }
        Ok(WORDS.into_iter().find(|(sign, word, _)| self.takes(sign, word)).map(|(_, _, operator)| operator))
    }

    fn set(&mut self, field: &'static Field) -> Result<Expression, String> {
        if !self.takes("{", "") {
            return Err(format!("a set is written as {} in {{1, 2}}", field.name));
        }
        let mut operands = Vec::new();
        loop {
            operands.push(self.operand(field)?);
            if self.takes("}", "") {
                return Ok(Expression::In(field, operands));
            }
            // Older versions of Wireshark part them by spaces alone.
            let _ = self.takes(",", "");
        }
    }

    fn operand(&mut self, field: &'static Field) -> Result<Operand, String> {
        let name = field.name;
        let value = match self.next() {
            Some(Word::Bare(value) | Word::Quoted(value)) => value,
            Some(other) => return Err(format!("a value is expected in the place of {}", other.shown())),
            None => return Err(format!("it ends where a value for {name} is expected")),
        };
        match field.kind {
            Kind::Presence => Err(format!("{name} is there or not; it cannot be compared")),
            Kind::Text => Ok(Operand::Text(value)),
            Kind::Number => {
                let number = match value.strip_prefix("0x") {
                    Some(digits) => u64::from_str_radix(digits, 16).ok(),
                    None => value.parse().ok(),
                };
                number.map(Operand::Number).ok_or_else(|| format!("{name} is a number, and {value} is none"))
            }
            Kind::Address => address(&value).ok_or_else(|| format!("{name} is an address, and {value} is none")),
        }
    }
}

fn address(value: &str) -> Option<Operand> {
    let (host, bits) = match value.split_once('/') {
        Some((host, bits)) => (host, Some(bits.parse::<u8>().ok()?)),
        None => (value, None),
    };
    let host: std::net::IpAddr = host.parse().ok()?;
    let all = if host.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(all);
    (bits <= all).then_some(Operand::Address(host, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wireshark_takes_is_taken() {
        for text in [
            "sip.Status-Code == 503 && ip.addr == 198.51.100.10",
            "sip.Status-Code==503&&ip.addr==198.51.100.0/24",
            "sip.Method == \"INVITE\" or sip.Method eq BYE",
            "not (sip.from.user contains \"4930\" and !sip.Reason)",
            "sip.Status-Code in {408, 480 503}",
            "ipv6.addr == 2001:db8::1",
            "sip.Status-Code >= 400 and sip.Status-Code lt 0x1f4",
            "sip",
        ] {
            read(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        }
    }

    #[test]
    fn what_is_wrong_is_said_and_the_nearest_name_told() {
        let why = |text: &str| read(text).unwrap_err();
        assert_eq!(why("sip.Status_Code == 503"), "there is no field sip.Status_Code; the nearest is sip.Status-Code");
        assert_eq!(why("sip.form.user"), "there is no field sip.form.user; the nearest is sip.from.user");
        assert!(why("sip.Status-Code == busy").contains("is a number"));
        assert!(why("ip.addr == carrier").contains("is an address"));
        assert!(why("(sip").contains("bracket"));
        assert!(why("sip.Method == \"INVITE").contains("quotation mark"));
        assert!(why("sip.Method == INVITE sip").contains("and or or"));
        assert!(why("sip.Method matches \"I.*\"").contains("contains"));
        assert!(why("").contains("ends"));
        assert!(why(&"(".repeat(5000)).contains("too many"));
    }

    #[test]
    fn and_binds_stronger_than_or() {
        let Ok(Expression::Or(_, right)) = read("sip or sdp and udp") else { panic!("no or") };
        assert!(matches!(*right, Expression::And(..)));
    }
}
