using System.Net;
using System.Net.NetworkInformation;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.View;
using Kcore.Fuzz.Mutators;
using Kcore.Gossip;
using Kcore.Gossip.Wire;

namespace Kcore.Fuzz.Targets;

/// <summary>Facts of other nodes.</summary>
internal static class CatalogTargets
{
    private static readonly ClaimStamp Stamp = new(7, new NodeId(0xA), 0xDEADBEEF);

    private static readonly NetworkSpec Spec = new()
    {
        Type = NetworkType.Vxlan,
        Gateway = new IPAddress([10, 88, 0, 1]),
        PrefixLength = 24,
        OutboundNat = true,
        ExternalIp = new IPAddress([203, 0, 113, 7]),
        VlanId = 4094,
        TargetNode = "node-b",
        Encryption = Encryption.Wireguard,
    };

    private static readonly PhysicalAddress Mac = new([0x52, 0x54, 0, 0, 0, 1]);

    public static readonly Func<FuzzTarget>[] All =
    [
        () => Fact(
            FactKind.Node,
            new NodeFact("node-a", new IPAddress([192, 0, 2, 10]), true, "0.1.0", 9000, "eth0", true) { Wireguard = new WireguardEndpoint(WireguardKey.TryFrom([.. new byte[31], 1])!, 51820) },
            FactCodec.Encode),
        () => Fact(FactKind.Participation, new ParticipationFact(UInt128.MaxValue, ObjectState.Failed, "no device"), FactCodec.Encode),
        () => Fact(
            FactKind.Nic,
            new NicFact(1, 2, "web-01", Mac, new IPAddress([10, 88, 0, 2]), 99, "tap-0b9d9f06", "/run/netns/web", "eth0", ObjectState.Ready, "it waits") { AllowSpoofing = true },
            FactCodec.Encode),
        () => Fact(FactKind.Claim, new ClaimFact("prod", 5, Stamp, Stamp with { Counter = 8 }, Spec), FactCodec.Encode),
        () => Fact(FactKind.Pool, new PoolFact(5, "prod", 14458, new IPAddress([10, 88, 0, 9]), 253, 7, 246, Resting: 3, Parked: 4), FactCodec.Encode),
        () => Fact(FactKind.Parked, new ParkedFact(5, new IPAddress([10, 88, 0, 254]), new NodeId(9), 77), FactCodec.Encode),
        () => Fact(FactKind.Lease, new LeaseFact(1, 2, new IPAddress([10, 88, 0, 2]), Mac, new NodeId(0xB), "web-01", ulong.MaxValue, Orphaned: true), FactCodec.Encode),
        () => Fact(
            FactKind.Move,
            new MoveFact(9, 1, 5, "web-01", Mac, new IPAddress([10, 88, 0, 2]), new NodeId(0xA), new NodeId(0xB), 7, ulong.MaxValue, true, true) { AllowSpoofing = true, Netns = "/run/netns/web", Ifname = "eth0" },
            FactCodec.Encode),
        () => Fact(FactKind.Admission, new AdmissionFact(new NodeId(0xC), 77, "node-c"), FactCodec.Encode),
        () => Fact(FactKind.Removal, new RemovalFact(new NodeId(0xC), "node-c"), FactCodec.Encode),
        () => Fact(FactKind.Mesh, new MeshFact(new NodeId(0xC), new IPAddress([100, 127, 192, 7])), FactCodec.Encode),
        () => Fact(FactKind.Dissolved, new DissolvedFact(UInt128.MaxValue), FactCodec.Encode),
        View,
    ];

    // What all facts mean together, when some are said by somebody who means harm.
    private static FuzzTarget View()
    {
        CatalogEntry[] honest =
        [
            Entry(1, FactKeys.Node, FactKind.Node, FactCodec.Encode(new NodeFact("node-a", new IPAddress([192, 0, 2, 10]), false, "0.1.0", 1500, "eth0", true))),
            Entry(1, FactKeys.Claim("prod"), FactKind.Claim, FactCodec.Encode(new ClaimFact("prod", 5, Stamp, Stamp, Spec))),
            Entry(1, FactKeys.Participation(5), FactKind.Participation, FactCodec.Encode(new ParticipationFact(5, ObjectState.Ready, null))),
            Entry(1, FactKeys.Nic(1), FactKind.Nic, FactCodec.Encode(new NicFact(1, 5, "web-01", Mac, new IPAddress([10, 88, 0, 2]), 99, "tap", null, null, ObjectState.Ready, null))),
        ];
        List<CatalogEntry> hostile = [];
        return new FuzzTarget("catalog-view", new MessagePackMutator(), [.. honest.Select(entry => entry.Raw.ToArray())], bytes =>
        {
            if (!CatalogEntry.TryParse(new NodeId(2), bytes, out CatalogEntry? entry))
            {
                return null;
            }

            hostile.RemoveAll(held => held.Key == entry.Key);
            hostile.Add(entry);
            if (hostile.Count > 12)
            {
                hostile.RemoveAt(0);
            }

            return CatalogViewBuilder.Build([.. honest.Concat(hostile)]);
        })
        {
            AllocationBase = 256 * 1024,
            Cost = 2,
        };
    }

    private static CatalogEntry Entry(int origin, string key, FactKind kind, ReadOnlyMemory<byte> value) =>
        CatalogEntry.Create(new NodeId((UInt128)(uint)origin), key, 1, (ushort)kind, EntryFlags.None, value);

    private static FuzzTarget Fact<T>(FactKind kind, T fact, Func<T, ReadOnlyMemory<byte>> encode)
        where T : class => new(
            "fact-" + kind.ToString().ToLowerInvariant(),
            new MessagePackMutator(),
            [encode(fact).ToArray()],
            bytes => bytes.Length <= WireLimits.ValueBytes
                && FactCodec.TryDecode(CatalogEntry.Create(new NodeId(0xA), "x", 1, (ushort)kind, EntryFlags.None, bytes), out T? read) ? read : null)
        {
            Write = value => encode((T)value).ToArray(),
        };
}
