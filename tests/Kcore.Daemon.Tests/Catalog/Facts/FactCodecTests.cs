using System.Buffers;
using System.Net;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Gossip;
using Kcore.Gossip.Wire;

namespace Kcore.Daemon.Tests.Catalog.Facts;

public sealed class FactCodecTests
{
    private static readonly ClaimStamp Stamp = new(7, Said.A, 0xDEADBEEF);

    private static readonly NetworkSpec Full = Said.Overlay() with { ExternalIp = IPAddress.Parse("203.0.113.7"), VlanId = 4094, TargetNode = "node-b" };

    private static readonly NetworkSpec Excluding = Said.Overlay() with
    {
        Excluded = AddressRanges.Of([Range("10.88.0.0", "10.88.0.9"), Range("10.88.0.99", "10.88.0.99"), Range("10.88.0.250", "10.88.0.255")]),
    };

    private static readonly NetworkSpec Local = Said.Overlay() with
    {
        Type = NetworkType.Nat,
        VlanId = 7,
        Uplink = "eth1",
        Ports = new PortRules([new PublishRule(TransportProtocol.Tcp, 8080, "web", 80), new PublishRule(TransportProtocol.Udp, 65535, null, 65535)]),
    };

    public static TheoryData<int> Samples => [.. Enumerable.Range(0, All.Length)];

    private static WireguardKey Key => WireguardKey.TryFrom([.. Enumerable.Range(1, 32).Select(i => (byte)i)])!;

    private static (FactKind Kind, object Fact, ReadOnlyMemory<byte> Bytes)[] All =>
    [
        Sample(FactKind.Node, new NodeFact("node-a", IPAddress.Parse("192.0.2.10"), true, "0.1.0", 9000, "eth0", true), FactCodec.Encode),
        Sample(FactKind.Node, new NodeFact("node-a", IPAddress.Parse("192.0.2.10"), false, "0.1.0", 1500, "eth0", true, 77), FactCodec.Encode),
        Sample(FactKind.Node, new NodeFact("node-a", IPAddress.Parse("2001:db8::10"), false, "", 0, "", false), FactCodec.Encode),
        Sample(FactKind.Node, new NodeFact("node-a", IPAddress.Parse("192.0.2.10"), false, "0.1.0", 1500, "eth0", false, 77, Drained: true), FactCodec.Encode),
        Sample(FactKind.Participation, new ParticipationFact(UInt128.MaxValue, ObjectState.Failed, "no device"), FactCodec.Encode),
        Sample(FactKind.Participation, new ParticipationFact(0, ObjectState.Pending, null), FactCodec.Encode),
        Sample(FactKind.Nic, Said.NicFact(1, 2, "web-01", 3, "10.88.0.2", 99) with { Netns = "/run/netns/web", Ifname = "eth0", Reason = "it waits" }, FactCodec.Encode),
        Sample(FactKind.Nic, Said.NicFact(1, 2, "web-01", 3), FactCodec.Encode),
        Sample(FactKind.Claim, new ClaimFact("prod", 5, Stamp, Stamp with { Counter = 8 }, Full), FactCodec.Encode),
        Sample(FactKind.Claim, new ClaimFact("prod", 5, Stamp, Stamp, Said.Overlay()), FactCodec.Encode),
        Sample(FactKind.Claim, new ClaimFact("prod", 5, Stamp, Stamp, null), FactCodec.Encode),
        Sample(FactKind.Claim, new ClaimFact("prod", 5, Stamp, Stamp, Excluding), FactCodec.Encode),
        Sample(FactKind.Claim, new ClaimFact("lan", 5, Stamp, Stamp, Local) { Home = Said.B }, FactCodec.Encode),
        Sample(FactKind.Claim, new ClaimFact("lan", 5, Stamp, Stamp, null) { Home = Said.B }, FactCodec.Encode),
        Sample(FactKind.Pool, new PoolFact(5, "prod", 14458, IPAddress.Parse("10.88.0.9"), 253, 7, 246), FactCodec.Encode),
        Sample(FactKind.Pool, new PoolFact(5, "prod", 14458, null, 253, 253, 0), FactCodec.Encode),
        Sample(FactKind.Lease, new LeaseFact(1, 2, IPAddress.Parse("10.88.0.2"), Said.Mac(1), Said.B, "web-01", ulong.MaxValue), FactCodec.Encode),
        Sample(FactKind.Pool, new PoolFact(5, "prod", 14458, null, 253, 250, 0, Resting: 3), FactCodec.Encode),
        Sample(FactKind.Pool, new PoolFact(5, "prod", 14458, null, 253, 250, 0, Parked: 3), FactCodec.Encode),
        Sample(FactKind.Parked, new ParkedFact(5, IPAddress.Parse("10.88.0.254"), new NodeId(9), 77), FactCodec.Encode),
        Sample(FactKind.Lease, new LeaseFact(1, 2, IPAddress.Parse("10.88.0.2"), Said.Mac(1), Said.B, "web-01", 9, Orphaned: true), FactCodec.Encode),
        Sample(FactKind.Claim, new ClaimFact("prod", 5, Stamp, Stamp, Excluding with { Reuse = AddressReuse.Quarantine }), FactCodec.Encode),
        Sample(FactKind.Claim, new ClaimFact("prod", 5, Stamp, Stamp, Said.Overlay() with { EmergencyReserve = 4 }), FactCodec.Encode),
        Sample(FactKind.Node, new NodeFact("node-a", IPAddress.Parse("192.0.2.10"), false, "0.1.0", 1500, "eth0", true, 77, DivergedAt: 2048), FactCodec.Encode),
        Sample(FactKind.Nic, Said.NicFact(1, 2, "web-01", 3) with { AllowSpoofing = true, State = ObjectState.Prepared }, FactCodec.Encode),
        Sample(FactKind.Move, new MoveFact(9, 1, 2, "web-01", Said.Mac(1), IPAddress.Parse("10.88.0.2"), Said.A, Said.B, 7, ulong.MaxValue, SourceKnows: true) { Netns = "/run/netns/web", Ifname = "eth0" }, FactCodec.Encode),
        Sample(FactKind.Move, new MoveFact(9, 1, 2, "web-01", Said.Mac(1), null, Said.A, Said.B, 7, 9, TargetKnows: true) { AllowSpoofing = true }, FactCodec.Encode),
        Sample(FactKind.Admission, new AdmissionFact(Said.C, 77, "node-c"), FactCodec.Encode),
        Sample(FactKind.Removal, new RemovalFact(Said.C, "node-c"), FactCodec.Encode),
        Sample(FactKind.Node, new NodeFact("node-a", IPAddress.Parse("192.0.2.10"), false, "0.1.0", 1500, "eth0", false) { Wireguard = new WireguardEndpoint(Key, 51820) }, FactCodec.Encode),
        Sample(FactKind.Claim, new ClaimFact("secret", 5, Stamp, Stamp, Said.Overlay() with { Encryption = Encryption.Wireguard }), FactCodec.Encode),
        Sample(FactKind.Mesh, new MeshFact(Said.C, IPAddress.Parse("100.127.192.7")), FactCodec.Encode),
        Sample(FactKind.Dissolved, new DissolvedFact(UInt128.MaxValue), FactCodec.Encode),
    ];

    [Theory]
    [MemberData(nameof(Samples))]
    public void A_fact_is_read_as_it_was_written(int sample)
    {
        (FactKind kind, object fact, ReadOnlyMemory<byte> bytes) = All[sample];

        Assert.Equal(fact, Read(kind, bytes));
    }

    [Theory]
    [MemberData(nameof(Samples))]
    public void A_fact_cut_off_anywhere_is_not_read_and_does_not_throw(int sample)
    {
        (FactKind kind, _, ReadOnlyMemory<byte> bytes) = All[sample];

        Assert.All(Enumerable.Range(0, bytes.Length), length => Assert.Null(Read(kind, bytes[..length])));
    }

    [Theory]
    [MemberData(nameof(Samples))]
    public void Fields_of_a_newer_version_are_skipped(int sample)
    {
        (FactKind kind, object fact, ReadOnlyMemory<byte> bytes) = All[sample];

        // The map header of all facts is one byte: 0x80 and the number of fields.
        var buffer = new ArrayBufferWriter<byte>();
        buffer.Write([(byte)(bytes.Span[0] + 2)]);
        var writer = new MessagePackWriter(buffer);
        writer.WriteUInt64(200);
        writer.WriteMapHeader(1);
        writer.WriteString("nested");
        writer.WriteBinary([1, 2, 3]);
        writer.WriteUInt64(201);
        writer.WriteBoolean(true);
        buffer.Write(bytes.Span[1..]);

        Assert.Equal(fact, Read(kind, buffer.WrittenMemory));
    }

    [Fact]
    public void A_fact_is_read_as_no_other_kind_than_its_own()
    {
        CatalogEntry entry = Said.Node(Said.A);

        Assert.False(FactCodec.TryDecode<PoolFact>(entry, out _));
        Assert.Null(Read((FactKind)999, entry.Value));
    }

    [Fact]
    public void A_removed_fact_has_no_meaning()
    {
        ReadOnlyMemory<byte> value = Said.Node(Said.A).Value;

        Assert.False(FactCodec.TryDecode<NodeFact>(CatalogEntry.Create(Said.A, FactKeys.Node, 2, (ushort)FactKind.Node, EntryFlags.Tombstone, value), out _));
    }

    [Theory]
    [InlineData(7)]
    [InlineData(31)]
    public void A_network_no_version_makes_is_not_read(int prefix) =>
        Assert.Null(Read(FactKind.Claim, FactCodec.Encode(new ClaimFact("prod", 5, Stamp, Stamp, Said.Overlay() with { PrefixLength = prefix }))));

    [Fact]
    public void A_gateway_that_is_not_IPv4_is_not_read() =>
        Assert.Null(Read(FactKind.Claim, FactCodec.Encode(new ClaimFact("prod", 5, Stamp, Stamp, Said.Overlay() with { Gateway = IPAddress.IPv6Loopback }))));

    [Theory]
    [InlineData("10.89.0.1", "10.89.0.2", "ranges of another subnet")]
    [InlineData("10.88.0.200", "10.88.1.2", "a range that leaves the subnet")]
    public void Exclusions_outside_the_subnet_are_not_read(string first, string last, string why) => Assert.True(
        Read(FactKind.Claim, FactCodec.Encode(new ClaimFact("prod", 5, Stamp, Stamp, Said.Overlay() with { Excluded = AddressRanges.Of([Range(first, last)]) }))) is null,
        why);

    [Fact]
    public void More_exclusions_than_a_pool_may_have_are_not_read()
    {
        NetworkSpec wide = Said.Overlay(prefix: 16);
        ClaimFact Claim(string last) => new("prod", 5, Stamp, Stamp, wide with { Excluded = AddressRanges.Of([Range("10.88.1.0", last)]) });

        Assert.NotNull(Read(FactKind.Claim, FactCodec.Encode(Claim("10.88.16.255"))));
        Assert.Null(Read(FactKind.Claim, FactCodec.Encode(Claim("10.88.17.0"))));
    }

    [Fact]
    public void Exclusions_in_another_spelling_than_the_one_are_not_read()
    {
        // A range of one address is the bytes 92 CE a b c d CE a b c d; the last two of the sample swap places.
        byte[] bytes = FactCodec.Encode(new ClaimFact("prod", 5, Stamp, Stamp, Excluding)).ToArray();
        byte[] second = [0x92, 0xCE, 10, 88, 0, 99, 0xCE, 10, 88, 0, 99];
        int at = bytes.AsSpan().IndexOf(second);
        byte[] third = bytes[(at + 11)..(at + 22)];
        third.CopyTo(bytes, at);
        second.CopyTo(bytes, at + 11);

        Assert.True(at > 0);
        Assert.Null(Read(FactKind.Claim, bytes));
    }

    private static AddressRange Range(string first, string last) => new(AddressRange.ToNumber(IPAddress.Parse(first)), AddressRange.ToNumber(IPAddress.Parse(last)));

    private static object? Read(FactKind kind, ReadOnlyMemory<byte> value)
    {
        CatalogEntry entry = Said.Entry(Said.A, "x", kind, value);
        return FactCodec.TryDecode(entry, out object? fact) ? fact : null;
    }

    private static (FactKind Kind, object Fact, ReadOnlyMemory<byte> Bytes) Sample<T>(FactKind kind, T fact, Func<T, ReadOnlyMemory<byte>> encode)
        where T : class => (kind, fact, encode(fact));
}
