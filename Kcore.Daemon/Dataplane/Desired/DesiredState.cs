using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Runtime.CompilerServices;

namespace Kcore.Daemon.Dataplane.Desired;

/// <summary>Why something is wanted.</summary>
/// <param name="Overlay">The overlay it serves; empty for what serves all of them.</param>
/// <param name="Nic">The local NIC it serves, if only that one.</param>
/// <param name="Reason">The fact it follows from, for people.</param>
internal sealed record Origin(string Overlay, string? Nic, string Reason);

internal readonly record struct Wanted<T>(T Value, Origin Origin)
    where T : class;

/// <summary>What a network contributes to the nftables elements.</summary>
internal sealed record NftContribution(string Overlay, ImmutableArray<(string Set, string Element)> Elements);

/// <summary>Something that cannot be done, and what it stops.</summary>
/// <param name="Overlay">The overlay concerned.</param>
/// <param name="Nic">The NIC concerned when the overlay works otherwise.</param>
/// <param name="Blocks">Whether the overlay (or the NIC) is left alone entirely; otherwise only this one entry is left out.</param>
/// <param name="Object">Kind of object: link, fdb, nic …</param>
internal sealed record Refusal(string Overlay, string? Nic, bool Blocks, string Object, string Device, string Reason);

/// <summary>What this node's kernel should hold, each object with its reason. Order is fixed by names, not by the intent.</summary>
internal sealed record DesiredState
{
    // Each pass asks for the same. Beside the object, because a copy with another value must not take it along.
    private static readonly ConditionalWeakTable<DesiredState, StrongBox<NftTables?>> _whole = [];

    public ImmutableArray<Wanted<Link>> Links { get; init; } = [];

    public ImmutableArray<Wanted<AltName>> AltNames { get; init; } = [];

    public ImmutableArray<Wanted<PortFlags>> Ports { get; init; } = [];

    public ImmutableArray<Wanted<InterfaceAddress>> Addresses { get; init; } = [];

    public ImmutableArray<Wanted<UplinkPort>> Uplinks { get; init; } = [];

    public ImmutableArray<Wanted<TunnelEntry>> TunnelEntries { get; init; } = [];

    public ImmutableArray<Wanted<BridgeEntry>> BridgeEntries { get; init; } = [];

    public ImmutableArray<Wanted<Neighbour>> Neighbours { get; init; } = [];

    public ImmutableArray<Wanted<GuestInterface>> Guests { get; init; } = [];

    public ImmutableArray<Wanted<Sysctl>> Sysctls { get; init; } = [];

    /// <summary>Elements that serve all overlays; used only while there is one with a tunnel.</summary>
    public ImmutableArray<(string Set, string Element)> NftShared { get; init; } = [];

    public ImmutableArray<NftContribution> Nft { get; init; } = [];

    /// <summary>What the intent itself makes impossible.</summary>
    public ImmutableArray<Refusal> Refusals { get; init; } = [];

    /// <summary>Devices of what was refused: fail-static, so what is there stays until the intent makes sense again.</summary>
    public ImmutableHashSet<string> SparedDevices { get; init; } = [];

    /// <summary>See <see cref="NodeIntent.DeletionsHeldBack"/>.</summary>
    public string? DeletionsHeldBack { get; init; }

    /// <summary>The state without reasons, as it will be observed when everything was done.</summary>
    public NetworkState State => new()
    {
        Links = Values(Links),
        AltNames = Values(AltNames),
        Ports = Values(Ports),
        Addresses = Values(Addresses),
        Uplinks = Values(Uplinks),
        TunnelEntries = Values(TunnelEntries),
        BridgeEntries = Values(BridgeEntries),
        Neighbours = Values(Neighbours),
        Sysctls = [.. Values(Sysctls).Distinct()],
        Nft = NftWithout(ImmutableHashSet<string>.Empty),
    };

    /// <summary>Our tables for the overlays that are not left alone; null when none remains.</summary>
    public NftTables? NftWithout(IReadOnlySet<string> leftAlone) =>
        leftAlone.Count == 0 ? _whole.GetValue(this, static d => new StrongBox<NftTables?>(d.MakeNft(leftAlone: FrozenSet<string>.Empty))).Value : MakeNft(leftAlone);

    private NftTables? MakeNft(IReadOnlySet<string> leftAlone)
    {
        NftContribution[] active = [.. Nft.Where(c => !leftAlone.Contains(c.Overlay))];
        if (active.Length == 0)
        {
            return null;
        }

        bool tunnels = active.Any(c => c.Elements.Any(e => e.Set == NftSkeleton.Tunnels));
        ILookup<string, string> elements = active.SelectMany(c => c.Elements).Concat(tunnels ? NftShared : [])
            .ToLookup(e => e.Set, e => e.Element, StringComparer.Ordinal);
        return NftSkeleton.With(NftSkeleton.Sets.ToImmutableSortedDictionary(
            set => set.Key,
            set => Subnets.Collapse(elements[set.Key], set),
            StringComparer.Ordinal));
    }

    private static ImmutableArray<T> Values<T>(ImmutableArray<Wanted<T>> wanted)
        where T : class => [.. wanted.Select(w => w.Value)];
}
