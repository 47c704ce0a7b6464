//! Display filters with Wireshark's names: which messages they fit.
//!
//! Is given the text of `-Y`; gives an expression that is asked for each message of a call, as Wireshark asks it for
//! each packet. The fields are a fixed table. What it does not know it refuses, and says what is nearest.

mod fields;
mod parse;

use std::net::IpAddr;

use crate::call::{Call, Heard};
use crate::cli::display_filter::fields::{Field, Held};
use crate::error::Error;

/// A filter that was understood.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DisplayFilter(Expression);

#[derive(Debug, Clone, PartialEq)]
enum Expression {
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    /// The field is there.
    There(&'static Field),
    Test(&'static Field, Operator, Operand),
    /// The field holds one of these.
    In(&'static Field, Vec<Operand>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    /// None of the field's values is equal, as in Wireshark since 4.0.
    Different,
    Greater,
    Less,
    AtLeast,
    AtMost,
    Contains,
}

/// What a field is compared with.
#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Number(u64),
    Text(String),
    /// An address, and how many of its bits count.
    Address(IpAddr, u8),
}

impl DisplayFilter {
    /// Reads a filter.
    pub(crate) fn read(text: &str) -> Result<DisplayFilter, Error> {
        parse::read(text).map(DisplayFilter).map_err(|why| Error::Usage(format!("-Y '{text}': {why}")))
    }

    /// True if any message of the call fits.
    pub(crate) fn takes(&self, call: &Call) -> bool {
        call.messages.iter().any(|heard| self.0.holds(heard))
    }
}

impl Expression {
    fn holds(&self, heard: &Heard) -> bool {
        match self {
            Expression::And(one, other) => one.holds(heard) && other.holds(heard),
            Expression::Or(one, other) => one.holds(heard) || other.holds(heard),
            Expression::Not(inner) => !inner.holds(heard),
            Expression::There(field) => !field.of(heard).is_empty(),
            Expression::Test(field, operator, operand) => {
                let held = field.of(heard);
                match operator {
                    Operator::Different => {
                        !held.is_empty() && !held.iter().any(|held| compares(held, Operator::Equal, operand))
                    }
                    _ => held.iter().any(|held| compares(held, *operator, operand)),
                }
            }
            Expression::In(field, operands) => {
                let held = field.of(heard);
                held.iter().any(|held| operands.iter().any(|operand| compares(held, Operator::Equal, operand)))
            }
        }
    }
}

fn compares(held: &Held, operator: Operator, operand: &Operand) -> bool {
    let order = match (held, operand) {
        (Held::Number(held), Operand::Number(wanted)) => held.cmp(wanted),
        (Held::Text(held), Operand::Text(wanted)) if operator == Operator::Contains => {
            return held.contains(wanted.as_str());
        }
        (Held::Text(held), Operand::Text(wanted)) => held.as_str().cmp(wanted.as_str()),
        (Held::Address(held), Operand::Address(wanted, bits)) => network(*held, *bits).cmp(&network(*wanted, *bits)),
        _ => return false,
    };
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::Different => order.is_ne(),
        Operator::Greater => order.is_gt(),
        Operator::Less => order.is_lt(),
        Operator::AtLeast => order.is_ge(),
        Operator::AtMost => order.is_le(),
        Operator::Contains => false,
    }
}

/// The first bits of an address; of which family it is counts too.
fn network(address: IpAddr, bits: u8) -> (bool, u128) {
    match address {
        IpAddr::V4(address) => {
            let shift = 32_u32.saturating_sub(u32::from(bits));
            (false, u128::from(u64::from(address.to_bits()) >> shift))
        }
        IpAddr::V6(address) => {
            let shift = 128_u32.saturating_sub(u32::from(bits));
            (true, address.to_bits().checked_shr(shift).unwrap_or(0))
        }
    }
}
