//! Where a request goes: a host finds its rule, header routes come first, then the split.
