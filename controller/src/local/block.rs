//! The loopback addresses of one instance: 127.B.x.y, where no other instance has the same B. In
//! comes a wish, out go addresses that nobody else uses.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

/// A second octet that one instance has to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block(pub u8);

impl Block {
    // Below 16 other programs have favourites, such as resolvers on 127.0.0.53 and 127.1.1.1.
    const FIRST: u8 = 16;
    const COUNT: u8 = 200;
    /// The listener whose existence is the claim. Nobody connects to it.
    const CLAIM_PORT: u16 = 15999;

    /// Claims the block that `wish` leads to, or the next one that is free. The block is claimed
    /// for as long as the listener lives.
    ///
    /// # Errors
    /// If none is free, with the last block's error.
    pub(super) fn claim(wish: u64) -> io::Result<(Block, TcpListener)> {
        let mut last = io::Error::other("there are no blocks");
        for offset in 0..Self::COUNT {
            let turn = wish.wrapping_add(u64::from(offset)) % u64::from(Self::COUNT);
            let block = Block(Self::FIRST + u8::try_from(turn).unwrap_or(0));
            match block.hold() {
                Ok(claim) => return Ok((block, claim)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Claims exactly this block.
    ///
    /// # Errors
    /// If another instance has it.
    pub(super) fn hold(self) -> io::Result<TcpListener> {
        TcpListener::bind((self.at(0, 1), Self::CLAIM_PORT))
    }

    /// An address for Envoy's admin and one for Prometheus, free as of now. Each has the port that
    /// people know, unless a program that listens on all addresses has it: that program would
    /// answer in the tool's place.
    ///
    /// # Errors
    /// If there is no free port.
    pub(super) fn doors(self) -> io::Result<(SocketAddr, SocketAddr)> {
        // Both are held until both are known: a port must not be found twice.
        let (admin, prometheus) = (self.listen(15000)?, self.listen(9090)?);
        Ok((admin.local_addr()?, prometheus.local_addr()?))
    }

    fn listen(self, wish: u16) -> io::Result<TcpListener> {
        let at = self.at(0, 1);
        TcpListener::bind((at, wish)).or_else(|_| TcpListener::bind((at, 0)))
    }

    fn at(self, third: u8, fourth: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, self.0, third, fourth))
    }
}

/// Hands out the addresses of a block, each to one holder at a time.
#[derive(Debug)]
pub(super) struct Addresses {
    block: Block,
    used: BTreeSet<u16>,
    next: u16,
}

impl Addresses {
    /// Third octets 1 to 250, fourth octets 1 to 250: an address never looks like a network's or a
    /// broadcast's.
    const ROW: u16 = 250;
    const ALL: u16 = Self::ROW * Self::ROW;

    /// All of `block`'s, none handed out.
    pub(super) fn of(block: Block) -> Self {
        Addresses {
            block,
            used: BTreeSet::new(),
            next: 0,
        }
    }

    /// An address nobody holds, the one longest unused first: what an old replica's address had is
    /// still remembered by connections. None if all are taken.
    pub(super) fn take(&mut self) -> Option<IpAddr> {
        let free = (0..Self::ALL)
            .map(|ahead| (self.next + ahead) % Self::ALL)
            .find(|index| !self.used.contains(index))?;
        self.used.insert(free);
        self.next = (free + 1) % Self::ALL;
        let octet = |n: u16| u8::try_from(n + 1).unwrap_or(1);
        Some(
            self.block
                .at(octet(free / Self::ROW), octet(free % Self::ROW)),
        )
    }

    /// Takes an address back.
    pub(super) fn give_back(&mut self, address: IpAddr) {
        if let IpAddr::V4(address) = address {
            let [_, _, third, fourth] = address.octets();
            let row = u16::from(third).saturating_sub(1) * Self::ROW;
            self.used
                .remove(&(row + u16::from(fourth).saturating_sub(1)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_instances_never_share_a_block() {
        let (one, _held) = Block::claim(7).unwrap();
        let (two, _too) = Block::claim(7).unwrap();
        assert_ne!(one, two);
    }

    #[test]
    fn a_port_that_a_program_has_on_all_addresses_is_not_taken() {
        let other = TcpListener::bind("0.0.0.0:0").unwrap();
        let taken = other.local_addr().unwrap().port();

        let ours = Block(230).listen(taken).unwrap();

        assert_ne!(ours.local_addr().unwrap().port(), taken);
    }

    #[test]
    fn an_address_is_held_once_and_comes_back_last() {
        let mut addresses = Addresses::of(Block(16));
        let first = addresses.take().unwrap();
        let second = addresses.take().unwrap();
        assert_ne!(first, second);
        addresses.give_back(first);
        let later: Vec<IpAddr> = (0..Addresses::ALL - 1)
            .filter_map(|_| addresses.take())
            .collect();
        assert_eq!(later.last(), Some(&first));
        assert_eq!(addresses.take(), None);
    }
}
