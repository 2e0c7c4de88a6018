using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using Kcore.Netlink;

namespace Kcore.Daemon.Cluster.Discovery;

/// <summary>An interface discovery speaks and listens on.</summary>
internal sealed record MdnsInterface(string Name, int Index, ImmutableArray<MdnsSubnet> Subnets)
{
    public bool Equals(MdnsInterface? other) =>
        other is not null && Name == other.Name && Index == other.Index && Subnets.SequenceEqual(other.Subnets);

    public override int GetHashCode() => HashCode.Combine(Name, Index, Subnets.Length);
}

/// <summary>An own address and the length of its prefix.</summary>
internal readonly record struct MdnsSubnet(IPAddress Address, int PrefixLength)
{
    public bool Contains(IPAddress other) =>
        PrefixLength is >= 0 and <= 32
        && other.AddressFamily == AddressFamily.InterNetwork
        && ((ToBits(Address) ^ ToBits(other)) & Mask) == 0;

    private uint Mask => PrefixLength == 0 ? 0 : uint.MaxValue << (32 - PrefixLength);

    private static uint ToBits(IPAddress address) =>
        System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(address.GetAddressBytes());
}

/// <summary>The seam between discovery and the machine's network.</summary>
internal interface IMdnsNetwork
{
    /// <summary>Every interface worth using now.</summary>
    /// <exception cref="NetlinkException">The kernel gave no list.</exception>
    ImmutableArray<MdnsInterface> Scan();

    /// <exception cref="SocketException">The interface went away, or the port can't be shared.</exception>
    IMdnsSocket Open(MdnsInterface on);
}

/// <summary>One interface's share of port 5353.</summary>
internal interface IMdnsSocket : IDisposable
{
    ValueTask<(int Length, IPEndPoint From)> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>Sends to the group, or to one asker.</summary>
    void Send(ReadOnlySpan<byte> message, IPEndPoint? to);
}
