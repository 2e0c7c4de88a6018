using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Net;

namespace Kcore.Daemon.Catalog.Facts;

/// <summary>IPv4 addresses from the first to the last, both included.</summary>
/// <param name="First">The address as a number, most significant byte first.</param>
/// <param name="Last">At least <paramref name="First"/>.</param>
internal readonly record struct AddressRange(uint First, uint Last)
{
    public long Count => (long)Last - First + 1;

    public string FirstText => ToAddress(First).ToString();

    public string LastText => ToAddress(Last).ToString();

    public override string ToString() => First == Last ? FirstText : $"{FirstText}-{LastText}";

    public static uint ToNumber(IPAddress address) => BinaryPrimitives.ReadUInt32BigEndian(address.GetAddressBytes());

    public static IPAddress ToAddress(uint number)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, number);
        return new IPAddress(bytes);
    }
}

/// <summary>
/// Addresses a network never gives out, in one spelling only: ascending, no two ranges touching. So equal sets are equal
/// values, and the pool made of them is the same whoever asks for it.
/// </summary>
internal sealed record AddressRanges
{
    /// <summary>Bound on the addresses of all ranges together: the pool holds each.</summary>
    public const int MaxAddresses = 4096;

    /// <summary>Bound on the ranges, at 11 bytes each: they stay well below what an entry of the catalog may hold.</summary>
    public const int MaxRanges = 128;

    private AddressRanges(ImmutableArray<AddressRange> ranges) => Ranges = ranges;

    public static AddressRanges None { get; } = new([]);

    public ImmutableArray<AddressRange> Ranges { get; }

    public long Count => Ranges.Sum(r => r.Count);

    public bool IsWithinBounds => Ranges.Length <= MaxRanges && Count <= MaxAddresses;

    public string? Text => Ranges.IsEmpty ? null : string.Join(' ', Ranges);

    /// <summary>Joins what overlaps or touches.</summary>
    public static AddressRanges Of(IEnumerable<AddressRange> ranges)
    {
        var joined = new List<AddressRange>();
        foreach (AddressRange range in ranges.OrderBy(r => r.First))
        {
            if (joined.Count > 0 && range.First <= (long)joined[^1].Last + 1)
            {
                joined[^1] = joined[^1] with { Last = Math.Max(joined[^1].Last, range.Last) };
            }
            else
            {
                joined.Add(range);
            }
        }

        return joined.Count == 0 ? None : new AddressRanges([.. joined]);
    }

    /// <summary>Every address, ascending. Look at <see cref="IsWithinBounds"/> first.</summary>
    public IEnumerable<IPAddress> Addresses()
    {
        foreach (AddressRange range in Ranges)
        {
            for (long number = range.First; number <= range.Last; number++)
            {
                yield return AddressRange.ToAddress((uint)number);
            }
        }
    }

    public bool Equals(AddressRanges? other) => other is not null && Ranges.AsSpan().SequenceEqual(other.Ranges.AsSpan());

    public override int GetHashCode() => Ranges.Length;

    public override string ToString() => Text ?? "none";
}
