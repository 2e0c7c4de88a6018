using System.Collections.Immutable;

namespace Kcore.Daemon.Ipam.Reserve;

/// <summary>What this node did with an address of its reserve. Numbers are on the disk.</summary>
internal enum ReserveUse : byte
{
    /// <summary>Nothing yet.</summary>
    Available = 0,

    /// <summary>A NIC has it, or had it: it is offered to no other one.</summary>
    Used = 1,

    /// <summary>It is never used any more, and the log is to be told.</summary>
    GivenUp = 2,
}

/// <summary>One address the log has granted to this node in advance.</summary>
/// <param name="Network">The network's uid.</param>
/// <param name="Address">The address as a number.</param>
/// <param name="GrantIndex">The log index of the grant; the same address granted once more has a larger one.</param>
/// <param name="Use">What became of it.</param>
/// <param name="Attachment">Who has it, when it is <see cref="ReserveUse.Used"/>; else 0.</param>
internal sealed record ReserveRow(UInt128 Network, uint Address, ulong GrantIndex, ReserveUse Use = ReserveUse.Available, UInt128 Attachment = default);

/// <summary>
/// The node's record of its emergency reserves, and all that may happen to it: pure, whoever holds it makes it durable.
/// <list type="bullet">
/// <item>An address comes into it only with the log's answer to this node's own question. A grant whose answer was lost is
/// unknown here and is not used; the next answer tells it again. So it does not matter whether this node applies the log at all,
/// or got it as a snapshot.</item>
/// <item>From available it goes to used or to given up, never back and never from one to the other. Whoever uses it writes that
/// down before a NIC has it; whoever returns it, before the log is told.</item>
/// <item>What was used or given up stays until the log has answered for it, so that no answer from before can offer it again.
/// Questions and their ends are one after the other, by one loop.</item>
/// <item>The record has a name, <see cref="Holder"/>. One that was lost is followed by one of another name, and the log gives
/// what was granted under the old one to nobody.</item>
/// </list>
/// </summary>
/// <param name="Holder">The name: 128 random bits.</param>
/// <param name="Rows">By network and address.</param>
internal sealed record ReserveBook(Guid Holder, ImmutableSortedDictionary<(UInt128 Network, uint Address), ReserveRow> Rows)
{
    public static ReserveBook New(Guid holder) => new(holder, ImmutableSortedDictionary<(UInt128, uint), ReserveRow>.Empty);

    /// <summary>Addresses of a network that count against what it parks for this node: used ones until the log knows.</summary>
    public int CountOf(UInt128 network) => Rows.Values.Count(r => r.Network == network && r.Use != ReserveUse.GivenUp);

    /// <summary>True if an address of the network is available.</summary>
    public bool HasAny(UInt128 network) => Rows.Values.Any(r => r.Network == network && r.Use == ReserveUse.Available);

    /// <summary>The log has answered: this is all it has parked for this node on the network.</summary>
    public ReserveBook Told(UInt128 network, IEnumerable<ParkedAddress> parked)
    {
        // It comes from another node: what no log has granted is left out.
        Dictionary<uint, ulong> granted = parked
            .Where(p => p.GrantIndex is > 0 and <= long.MaxValue)
            .GroupBy(p => AddressSequence.ToNumber(p.Address))
            .ToDictionary(g => g.Key, g => g.Max(p => p.GrantIndex));
        ImmutableSortedDictionary<(UInt128, uint), ReserveRow>.Builder rows = Rows.ToBuilder();
        foreach (ReserveRow row in Rows.Values.Where(r => r.Network == network))
        {
            // A used one stays until its NIC is known to have its lease, or to be gone. The others ended in the log.
            if (row.Use != ReserveUse.Used && granted.GetValueOrDefault(row.Address) != row.GrantIndex)
            {
                rows.Remove((network, row.Address));
            }
        }

        foreach ((uint address, ulong index) in granted)
        {
            // Of a used one, too, the end was committed if the address was granted anew.
            if (!rows.TryGetValue((network, address), out ReserveRow? known) || known.GrantIndex < index)
            {
                rows[(network, address)] = new ReserveRow(network, address, index);
            }
        }

        return this with { Rows = rows.ToImmutable() };
    }

    /// <summary>The highest available address of a network, or null.</summary>
    /// <param name="network">The network.</param>
    /// <param name="wanted">The only address that will do, or null.</param>
    /// <param name="isElsewhere">True for an address that is seen in use, whatever this record says.</param>
    public ReserveRow? Highest(UInt128 network, uint? wanted, Func<uint, bool> isElsewhere) => Rows.Values
        .Where(r => r.Network == network && r.Use == ReserveUse.Available && (wanted is null || r.Address == wanted) && !isElsewhere(r.Address))
        .MaxBy(r => r.Address);

    /// <summary>An available address goes to an attachment.</summary>
    public ReserveBook Taken(ReserveRow row, UInt128 attachment) => With(row with { Use = ReserveUse.Used, Attachment = attachment });

    /// <summary>Nothing that is available on a network is used from now on.</summary>
    public ReserveBook GivenUp(UInt128 network) =>
        this with { Rows = Rows.SetItems(Rows.Where(r => r.Value.Network == network && r.Value.Use == ReserveUse.Available).Select(r => KeyValuePair.Create(r.Key, r.Value with { Use = ReserveUse.GivenUp }))) };

    /// <summary>The log knows what became of it.</summary>
    public ReserveBook Settled(ReserveRow row) => this with { Rows = Rows.Remove((row.Network, row.Address)) };

    private ReserveBook With(ReserveRow row) => this with { Rows = Rows.SetItem((row.Network, row.Address), row) };
}
