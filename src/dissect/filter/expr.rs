//! What a filter says, understood but not yet turned into tests of bytes.
//!
//! Words that were left out (`port 80 or 443`) are there again, names are numbers, and what is
//! shown by `Display` means the same when it is read again. Connectives have equal precedence and
//! associate to the left, so that a chain of them is a flat list: however long a filter is, its
//! depth is that of its parentheses.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::own::FieldTest;
use super::words::{Known, Versions};
use crate::proto::Protocol;
use crate::record::Direction;

/// A filter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    /// One statement about a frame.
    Primitive(Primitive),
    /// The opposite.
    Not(Box<Expr>),
    /// Connected from left to right.
    Chain(Box<Expr>, Vec<(Connective, Expr)>),
}

/// How two statements are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connective {
    /// Both.
    And,
    /// Either.
    Or,
}

/// Which end of a frame is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The source.
    Source,
    /// The destination.
    Destination,
    /// One of them.
    Either,
    /// Both of them.
    Both,
}

/// The transports that a port is looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transports {
    /// SCTP, TCP and UDP.
    All,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// One statement about a frame.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Primitive {
    /// Always true: the empty filter.
    Everything,
    /// A protocol is there.
    Is(&'static Known),
    /// An IPv4 address, in IPv4, ARP and RARP or in one of them.
    Net4 { within: Option<&'static Known>, side: Side, address: Ipv4Addr, mask: Ipv4Addr },
    /// An IPv6 address.
    Net6 { side: Side, address: Ipv6Addr, bits: u8 },
    /// An Ethernet address.
    Mac { side: Side, address: [u8; 6] },
    /// A port or, both ends included, a range of them.
    Port { over: Transports, side: Side, range: Option<u16>, port: u16 },
    /// An EtherType, or below 1501 what an 802.2 header says.
    EtherProto(u32),
    /// An IP protocol number.
    IpProto(Versions, u32),
    /// The Ethernet broadcast address as destination.
    Broadcast,
    /// An IPv4 broadcast address as destination.
    IpBroadcast,
    /// An Ethernet multicast address as destination.
    Multicast,
    /// An IP multicast address as destination.
    IpMulticast(Versions),
    /// A VLAN tag; what follows in the text looks behind it.
    Vlan(Option<u16>),
    /// Two numbers compared.
    Relation { left: Arith, relation: Relation, right: Arith },
    /// The way it went.
    Direction(Direction),
    /// Something is wrong with it.
    Malformed,
    /// It is a line of the device's console.
    Console,
    /// A layer is there.
    Layer(&'static Protocol),
    /// What a field says.
    Field(FieldTest),
}

/// How two numbers relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Relation {
    /// The relation of a sign.
    pub fn of(sign: &str) -> Option<Relation> {
        Some(match sign {
            "=" | "==" => Relation::Equal,
            "!=" => Relation::Unequal,
            "<" => Relation::Less,
            "<=" => Relation::AtMost,
            ">" => Relation::Greater,
            ">=" => Relation::AtLeast,
            _ => return None,
        })
    }

    /// Whether two values that compare like `order` relate so.
    pub fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Relation::Equal => order.is_eq(),
            Relation::Unequal => order.is_ne(),
            Relation::Less => order.is_lt(),
            Relation::AtMost => order.is_le(),
            Relation::Greater => order.is_gt(),
            Relation::AtLeast => order.is_ge(),
        }
    }

    /// How it is written.
    pub fn sign(self) -> &'static str {
        match self {
            Relation::Equal => "==",
            Relation::Unequal => "!=",
            Relation::Less => "<",
            Relation::AtMost => "<=",
            Relation::Greater => ">",
            Relation::AtLeast => ">=",
        }
    }
}

/// A number, out of the frame or of the filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Arith {
    /// Itself.
    Number(u32),
    /// The length of the frame on the line, in bytes.
    Length,
    /// One, two or four bytes of a protocol's header, most significant first.
    Access { known: &'static Known, index: Box<Arith>, size: u8 },
    /// Its complement to 2^32.
    Negate(Box<Arith>),
    /// Two of them combined, modulo 2^32.
    Binary(Operator, Box<Arith>, Box<Arith>),
}

impl Eq for Known {}

/// How two numbers make a third.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`: by 0, nothing
    Divide,
    /// `%`: by 0, nothing
    Remainder,
    /// `&`
    And,
    /// `|`
    Or,
    /// `^`
    ExclusiveOr,
    /// `<<`: 0 beyond 31 places
    Left,
    /// `>>`: 0 beyond 31 places
    Right,
}

/// Signs, operators, and how tightly they bind; `None` where the sign binds everything to its
/// right and gives way to nothing, as tcpdump has it.
static OPERATORS: &[(&str, Operator, Option<u8>)] = &[
    ("|", Operator::Or, Some(1)),
    ("&", Operator::And, Some(2)),
    ("<<", Operator::Left, Some(3)),
    (">>", Operator::Right, Some(3)),
    ("+", Operator::Add, Some(4)),
    ("-", Operator::Subtract, Some(4)),
    ("*", Operator::Multiply, Some(5)),
    ("/", Operator::Divide, Some(5)),
    ("%", Operator::Remainder, None),
    ("^", Operator::ExclusiveOr, None),
];

impl Operator {
    /// The operator of a sign and how tightly it binds.
    pub fn of(sign: &str) -> Option<(Operator, Option<u8>)> {
        OPERATORS.iter().find(|(s, ..)| *s == sign).map(|(_, operator, binds)| (*operator, *binds))
    }

    /// How it is written.
    pub fn sign(self) -> &'static str {
        OPERATORS.iter().find(|(_, operator, _)| *operator == self).map_or("", |(sign, ..)| sign)
    }
}
