using System.Buffers.Binary;
using System.Net;
using Kcore.Daemon.Catalog.Facts;

namespace Kcore.Daemon.Catalog.Networks;

/// <summary>
/// The addresses guests of a nat network get (behaviours 34 and 37): .100 to .199 of the gateway's 256, or where a subnet is
/// smaller than that, all of it. The gateway may lie between first and last; it is never given out.
/// </summary>
internal sealed record GuestRange(IPAddress First, IPAddress Last, IPAddress Gateway)
{
    private const uint FirstNumber = 100;
    private const uint LastNumber = 199;

    /// <summary>How many addresses can be given out.</summary>
    public int Size => (int)(Number(Last) - Number(First) + 1) - (Spans(Gateway) ? 1 : 0);

    public static GuestRange Of(NetworkSpec spec)
    {
        uint gateway = Number(spec.Gateway);
        if (spec.PrefixLength <= 24)
        {
            uint block = gateway & ~0xffu;
            return new GuestRange(Address(block + FirstNumber), Address(block + LastNumber), spec.Gateway);
        }

        uint network = Number(spec.Subnet.BaseAddress);
        uint first = network + 1;
        uint last = network + (uint.MaxValue >> spec.PrefixLength) - 1;
        return new GuestRange(Address(first == gateway ? first + 1 : first), Address(last == gateway ? last - 1 : last), spec.Gateway);
    }

    public bool Contains(IPAddress address) => Spans(address) && !address.Equals(Gateway);

    /// <summary>
    /// The next address behind the highest one in use, then the lowest free one; null when all are taken. So an address that
    /// was given back rests for as long as there are others.
    /// </summary>
    public IPAddress? Free(IReadOnlySet<IPAddress> taken)
    {
        uint behind = taken.Where(Contains).Select(Number).DefaultIfEmpty(Number(First) - 1).Max() + 1;
        for (uint number = behind; number <= Number(Last); number++)
        {
            if (IsFree(number))
            {
                return Address(number);
            }
        }

        for (uint number = Number(First); number < behind && number <= Number(Last); number++)
        {
            if (IsFree(number))
            {
                return Address(number);
            }
        }

        return null;

        bool IsFree(uint number) => Address(number) is var address && Contains(address) && !taken.Contains(address);
    }

    private bool Spans(IPAddress address) => Number(address) is var number && number >= Number(First) && number <= Number(Last);

    private static uint Number(IPAddress address) => BinaryPrimitives.ReadUInt32BigEndian(address.GetAddressBytes());

    private static IPAddress Address(uint number)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, number);
        return new IPAddress(bytes);
    }
}
