using System.Buffers.Binary;
using System.Net;

namespace Kcore.Daemon.Ipam;

/// <summary>
/// The order in which the host addresses of an IPv4 subnet are granted, as ordinals from 0: network + 2 upwards to the
/// last before the broadcast address, and network + 1 at the very end, because that is where people put a router by habit
/// and yet no address of the subnet may be lost (behaviours 25–28, A5).
/// </summary>
internal readonly record struct AddressSequence
{
    private readonly uint _network;

    public AddressSequence(uint network, int prefixLength)
    {
        _network = network;
        PrefixLength = prefixLength;
        Count = (1L << (32 - prefixLength)) - 2;
    }

    public int PrefixLength { get; }

    /// <summary>How many host addresses there are; network and broadcast are none.</summary>
    public long Count { get; }

    public uint AddressAt(long ordinal) => (uint)(_network + (ordinal == Count - 1 ? 1 : ordinal + 2));

    /// <summary>The ordinal of <paramref name="address"/>, or −1 when it is no host address of the subnet.</summary>
    public long OrdinalOf(uint address)
    {
        long offset = (long)address - _network;
        return offset < 1 || offset > Count ? -1 : offset == 1 ? Count - 1 : offset - 2;
    }

    public static uint ToNumber(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[4];
        return address.TryWriteBytes(bytes, out int written) && written == 4
            ? BinaryPrimitives.ReadUInt32BigEndian(bytes)
            : throw new ArgumentException($"{address} is no IPv4 address.", nameof(address));
    }

    public static IPAddress ToAddress(uint number)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, number);
        return new IPAddress(bytes);
    }
}
