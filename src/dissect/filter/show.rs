//! Showing an [`Expr`]: what is shown means the same when it is read again.

use std::fmt;
use std::net::Ipv4Addr;

use super::expr::{Arith, Connective, Expr, Primitive, Relation, Side, Transports};
use super::words::Versions;
use crate::proto::line::Line;
use crate::record::Direction;

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operand = |f: &mut fmt::Formatter<'_>, operand: &Expr| match operand {
            Expr::Chain(..) => write!(f, "({operand})"),
            Expr::Primitive(_) | Expr::Not(_) => write!(f, "{operand}"),
        };
        match self {
            Expr::Primitive(primitive) => write!(f, "{primitive}"),
            Expr::Not(inner) => {
                f.write_str("not ")?;
                operand(f, inner)
            }
            Expr::Chain(first, rest) => {
                operand(f, first)?;
                for (connective, next) in rest {
                    f.write_str(match connective {
                        Connective::And => " and ",
                        Connective::Or => " or ",
                    })?;
                    operand(f, next)?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Source => "src ",
            Side::Destination => "dst ",
            Side::Either => "",
            Side::Both => "src and dst ",
        })
    }
}

impl fmt::Display for Primitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Primitive::Everything => Ok(()),
            Primitive::Is(known) => f.write_str(known.name),
            Primitive::Net4 { within, side, address, mask } => {
                if let Some(known) = within {
                    write!(f, "{} ", known.name)?;
                }
                match *mask {
                    Ipv4Addr::BROADCAST => write!(f, "{side}host {address}"),
                    mask => write!(f, "{side}net {address} mask {mask}"),
                }
            }
            Primitive::Net6 { side, address, bits: 128 } => write!(f, "{side}host {address}"),
            Primitive::Net6 { side, address, bits } => write!(f, "{side}net {address}/{bits}"),
            Primitive::Mac { side, address } => write!(f, "ether {side}host {}", Mac(*address)),
            Primitive::Port { over, side, range, port } => {
                f.write_str(match over {
                    Transports::All => "",
                    Transports::Tcp => "tcp ",
                    Transports::Udp => "udp ",
                    Transports::Sctp => "sctp ",
                })?;
                match range {
                    None => write!(f, "{side}port {port}"),
                    Some(last) => write!(f, "{side}portrange {port}-{last}"),
                }
            }
            Primitive::EtherProto(number) => write!(f, "ether proto {number}"),
            Primitive::IpProto(versions, number) => write!(f, "{versions}proto {number}"),
            Primitive::Broadcast => f.write_str("broadcast"),
            Primitive::IpBroadcast => f.write_str("ip broadcast"),
            Primitive::Multicast => f.write_str("multicast"),
            Primitive::IpMulticast(versions) => write!(f, "{versions}multicast"),
            Primitive::Vlan(None) => f.write_str("vlan"),
            Primitive::Vlan(Some(id)) => write!(f, "vlan {id}"),
            Primitive::Relation { left, relation, right } => {
                write!(f, "{left} {} {right}", relation.sign())
            }
            Primitive::Direction(Direction::ToDevice) => f.write_str("to device"),
            Primitive::Direction(_) => f.write_str("from device"),
            Primitive::Malformed => f.write_str("malformed"),
            Primitive::Console => f.write_str("console"),
            Primitive::Layer(protocol) => f.write_str(protocol.name),
            Primitive::Field(test) => write!(f, "{test}"),
        }
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Versions::Both => "",
            Versions::Four => "ip ",
            Versions::Six => "ip6 ",
        })
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sign())
    }
}

impl fmt::Display for Arith {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operand = |f: &mut fmt::Formatter<'_>, operand: &Arith| match operand {
            Arith::Negate(_) | Arith::Binary(..) => write!(f, "({operand})"),
            Arith::Number(_) | Arith::Length | Arith::Access { .. } => write!(f, "{operand}"),
        };
        match self {
            Arith::Number(number) => write!(f, "{number}"),
            Arith::Length => f.write_str("len"),
            Arith::Access { known, index, size: 1 } => write!(f, "{}[{index}]", known.name),
            Arith::Access { known, index, size } => write!(f, "{}[{index} : {size}]", known.name),
            Arith::Negate(inner) => {
                f.write_str("-")?;
                operand(f, inner)
            }
            Arith::Binary(operator, left, right) => {
                operand(f, left)?;
                write!(f, " {} ", operator.sign())?;
                operand(f, right)
            }
        }
    }
}

/// An Ethernet address as people write it.
pub(super) struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line::new(true);
        line.mac(self.0);
        f.write_str(&String::from_utf8_lossy(line.as_bytes()))
    }
}
