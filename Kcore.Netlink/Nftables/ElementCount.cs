namespace Kcore.Netlink.Nftables;

/// <summary>An element of a set that counts.</summary>
/// <param name="Key">The key as the kernel keeps it; of an interface's name its 16 bytes, padded with zeros.</param>
/// <param name="Packets">Packets or frames that matched it.</param>
/// <param name="Bytes">Their bytes.</param>
public sealed record ElementCount(ReadOnlyMemory<byte> Key, ulong Packets, ulong Bytes);
