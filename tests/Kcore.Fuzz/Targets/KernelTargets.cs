using System.Collections.Immutable;
using System.Net;
using System.Net.NetworkInformation;
using System.Text;
using System.Text.Json;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;
using Kcore.Fuzz.Mutators;
using Kcore.Netlink;
using Kcore.Netlink.Messages;
using Kcore.Netlink.Monitor;
using Kcore.Netlink.Nftables;
using Kcore.Netlink.Route;

namespace Kcore.Fuzz.Targets;

/// <summary>Netlink messages: the kernel is trusted, our idea of its formats is not.</summary>
internal static class KernelTargets
{
    public static readonly Func<FuzzTarget>[] All =
    [
        () => Decoder("netlink-link", static (in message) => LinkDecoder.Decode(message)),
        () => Decoder("netlink-address", static (in message) => AddressDecoder.Decode(message)),
        () => Decoder("netlink-neighbour", static (in message) => NeighbourDecoder.Decode(message)),
        () => Decoder("netlink-route", static (in message) => RouteDecoder.Decode(message)),
        () => Decoder("netlink-error", static (in message) => ErrorDecoder.Decode(message)),
        () => Decoder("nftables-generation", static (in message) => NftablesMessages.GenerationOf(message)),
        () => Decoder("nftables-counts", static (in message) => Counts(message)),
        () => Changes("netlink-route-changes", netfilter: false),
        () => Changes("netlink-filter-changes", netfilter: true),
        ForeignRules,
    ];

    private delegate object? Decode(scoped in NetlinkMessage message);

    private static FuzzTarget Decoder(string name, Decode decode)
    {
        byte[][] samples = Samples();
        return new FuzzTarget(name, new ByteMutator(isBigEndian: false, lengthMax: 4096), [.. samples.Where(sample => IsRead(sample, decode))], bytes => Each(bytes, decode))
        {
            IsRefusal = exception => exception is NetlinkException,
        };
    }

    private static ElementCount[]? Counts(scoped in NetlinkMessage message)
    {
        List<ElementCount> counts = [];
        NftablesMessages.ReadCounts(message, counts);
        return counts.Count == 0 ? null : [.. counts];
    }

    private static FuzzTarget Changes(string name, bool netfilter) => new(
        name,
        new ByteMutator(isBigEndian: false, lengthMax: 4096),
        Samples(),
        bytes =>
        {
            List<KernelChange> changes = [];
            ChangeDecoder.Decode(bytes, netfilter, changes);
            return changes;
        })
    {
        IsRefusal = exception => exception is NetlinkException,
    };

    /// <summary>Other people's rules: whoever administers the host writes them, in any form nft takes.</summary>
    private static FuzzTarget ForeignRules()
    {
        NftTables ours = NftSkeleton.With(NftSkeleton.Sets.ToImmutableSortedDictionary(
            s => s.Key, s => s.Key is "inet bridges" or "inet egress" or NftSkeleton.Tunnels ? ImmutableSortedSet.Create("kbr-a") : [], StringComparer.Ordinal));
        return new FuzzTarget(
            "nft-foreign-rules",
            new JsonMutator("{\"accept\":null}", "{\"drop\":null}", "{\"jump\":{\"target\":\"b\"}}", "{\"goto\":{\"target\":\"a\"}}", "{\"set\":[1,2]}", "{\"range\":[1,9]}", "\"@set\"", "{\"xt\":null}"),
            [
                """{"nftables":[{"metainfo":{}},{"chain":{"family":"inet","table":"t","name":"a","handle":1,"type":"filter","hook":"input","prio":0,"policy":"drop"}},{"chain":{"family":"inet","table":"t","name":"b"}},{"rule":{"family":"inet","table":"t","chain":"a","handle":3,"expr":[{"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":"kbr-*"}},{"jump":{"target":"b"}}]}},{"rule":{"family":"inet","table":"t","chain":"b","handle":4,"expr":[{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":["new","related"]}},{"counter":{"packets":1,"bytes":2}},{"reject":{"type":"icmpx","expr":"admin-prohibited"}}]}}]}"""u8.ToArray(),
                """{"nftables":[{"chain":{"family":"ip","table":"t","name":"a","hook":"forward","policy":"accept"}},{"rule":{"family":"ip","table":"t","chain":"a","expr":[{"vmap":{"key":{"meta":{"key":"l4proto"}},"data":{"set":[["udp",{"drop":null}],["tcp",{"goto":{"target":"a"}}]]}}},{"match":{"op":"!=","left":{"payload":{"protocol":"udp","field":"dport"}},"right":{"range":[1,4000]}}},{"drop":null}]}}]}"""u8.ToArray(),
            ],
            bytes => ForeignFirewall.Blocks(ForeignRuleset.Read(Encoding.UTF8.GetString(bytes)), ours, bridgedPasses: true))
        {
            IsRefusal = exception => exception is JsonException,
            AllocationBase = 4 * 1024 * 1024,
            AllocationPerByte = 1024,
        };
    }

    private static object? Each(byte[] bytes, Decode decode)
    {
        object? last = null;
        var reader = new MessageReader(bytes);
        while (reader.TryRead(out NetlinkMessage message))
        {
            last = decode(message) ?? last;
        }

        return last;
    }

    private static bool IsRead(byte[] sample, Decode decode)
    {
        try
        {
            return Each(sample, decode) is not null;
        }
        catch (NetlinkException)
        {
            return false;
        }
    }

    private static byte[][] Samples()
    {
        var mac = new PhysicalAddress([2, 0x6b, 0, 0, 0, 1]);
        var batch = new RouteBatch();
        batch.CreateBridge(new BridgeSpec { Name = "kbr-a", Ageing = TimeSpan.FromMinutes(5) });
        batch.CreateVxlan(new VxlanSpec { Name = "v", Vni = 7, Local = IPAddress.IPv6Loopback, Master = 3, Underlay = 2 });
        batch.AddAltName(3, "a-long-name-of-a-link");
        batch.ReplaceFdbUnicast(3, mac, IPAddress.Loopback);
        batch.ReplaceNeighbour(3, IPAddress.IPv6Loopback, mac);
        batch.ReplaceAddress(3, IPAddress.Loopback, 24, AddressFlags.NoPrefixRoute);
        batch.AddRoute(new RouteSpec { Destination = IPNetwork.Parse("10.0.0.0/8"), Gateway = IPAddress.Loopback, LinkIndex = 2, Metric = 3 });
        return
        [
            .. Enumerable.Range(0, batch.Count).Select(i => batch.Message(i).ToArray()),

            // An error with text and offset; a multipath route; an nftables set element, one that counts, and a generation.
            Bytes("34000000 0200 0003 01000000 00000000 EAFFFFFF 10000000 1000 0500 01000000 00000000 08000100 62616400 08000200 28000000"),
            Bytes("38000000 1800 0000 00000000 00000000 02000000 FE030001 00000000 14000900 10000000 02000000 08000500 0A000001 08000100 0A000000"),
            Bytes("20000000 0C0A 0000 00000000 00000000 01000000 0A000100 6B636F726500 0000"),
            Bytes("740000000C0A000000000000000000000700000006000100740000000A000200706F7274730000004C0003804800018018000180140001007461702D3100000000000000000000002C0007800C000100636F756E746572001C0002800C00010000000000000001260C0002000000000000000007"),
            Bytes("2C000000 0F0A 0000 00000000 00000000 00000001 08000100 00000007 08000200 000004D2 08000300 6E667400"),
        ];
    }

    private static byte[] Bytes(string grouped) => Convert.FromHexString(grouped.Replace(" ", "", StringComparison.Ordinal));
}
