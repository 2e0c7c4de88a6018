using System.Net;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Cluster.Discovery;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Fuzz.Mutators;
using Kcore.Gossip;
using Kcore.Gossip.Wire;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Fuzz.Targets;

/// <summary>What nodes say to each other on streams, and what anybody says on the LAN.</summary>
internal static class PeerTargets
{
    public static readonly Func<FuzzTarget>[] All = [Frame, Hello, Join, Joined, AskKey, GiveKey, Propose, Proposed, Dns];

    private static readonly ClusterRef Home = new(Guid.Parse("00112233-4455-6677-8899-aabbccddeeff"), 3);

    private static readonly IPEndPoint Endpoint = new(new IPAddress([192, 0, 2, 10]), 7946);

    private static FuzzTarget Frame() => new(
        "stream-frame",
        new ByteMutator(isBigEndian: true),
        [.. new[] { 0, 1, 200, 5000 }.Select(size => Framed(new StreamFrame(StreamKind.Gossip, size == 1, new byte[size])))],
        bytes =>
        {
            // A stream in memory completes at once.
            using var stream = new MemoryStream(bytes);
            return StreamFrame.ReadAsync(stream, CancellationToken.None).AsTask().GetAwaiter().GetResult();
        })
    {
        IsRefusal = exception => exception is InvalidDataException or EndOfStreamException,
        Write = value => Framed((StreamFrame)value),

        // The body's room is taken when its length was read; peers that get so far are authenticated.
        AllocationBase = StreamFrame.MaxBody + (64 * 1024),
        Cost = 4,
    };

    private static byte[] Framed(StreamFrame frame)
    {
        using var stream = new MemoryStream();
        StreamFrame.WriteAsync(stream, frame, CancellationToken.None).AsTask().GetAwaiter().GetResult();
        return stream.ToArray();
    }

    private static FuzzTarget Hello() => Message(
        "hello",
        [new HelloMessage("node-a", Home, true, Endpoint).Encode(), new HelloMessage("", null, false, new IPEndPoint(IPAddress.IPv6Loopback, 1)) { BootNonce = 7, Twin = Endpoint, Known = new KnownStart(2, 8) }.Encode()],
        bytes => HelloMessage.Decode(bytes),
        value => ((HelloMessage)value).Encode());

    private static FuzzTarget Join() => Message(
        "join-request",
        [new JoinRequest("node-a", Home.Id).Encode()],
        bytes => JoinRequest.Decode(bytes),
        value => ((JoinRequest)value).Encode());

    private static FuzzTarget Joined() => Message(
        "join-reply",
        [new JoinReply(Home, ["192.0.2.1:7946", "192.0.2.2:7946"], null).Encode(), new JoinReply(null, [], "no").Encode()],
        bytes => JoinReply.Decode(bytes),
        value => ((JoinReply)value).Encode());

    private static FuzzTarget AskKey() => Message(
        "key-request",
        [new KeyRequest(Home.Id, 0x12345678).Encode()],
        bytes => KeyRequest.Decode(bytes),
        value => ((KeyRequest)value).Encode());

    private static FuzzTarget GiveKey() => Message(
        "key-reply",
        [new KeyReply(new RingKey(3, new ClusterSecret(new byte[32]), RingKey.DefaultOverlap, null), null).Encode(), new KeyReply(null, "no").Encode()],
        bytes => KeyReply.Decode(bytes),
        value => ((KeyReply)value).Encode());

    private static FuzzTarget Propose() => Message(
        "propose-request",
        [new LedgerRequest(Home, new byte[40]).Encode()],
        bytes => LedgerRequest.Decode(bytes),
        value => ((LedgerRequest)value).Encode());

    private static FuzzTarget Proposed() => Message(
        "propose-reply",
        [new LedgerReply(null, new byte[40], null).Encode(), new LedgerReply(ProposeFailure.NotLeader, default, "ask another", new NodeId(5)).Encode()],
        bytes => LedgerReply.Decode(bytes),
        value => ((LedgerReply)value).Encode());

    private static FuzzTarget Message(string name, ReadOnlyMemory<byte>[] samples, Func<byte[], object> read, Func<object, ReadOnlyMemory<byte>> write) => new(
        name,
        new MessagePackMutator(),
        [.. samples.Select(sample => sample.ToArray())],
        read)
    {
        IsRefusal = exception => exception is WireFormatException,
        Write = value => write(value).ToArray(),
    };

    // Anybody on the LAN sends these.
    private static FuzzTarget Dns()
    {
        var node = new Announcement(0xab, "0123456789abcdef", 0x10, 3, true, 7946, 7947);
        IPAddress[] addresses = [new IPAddress([192, 0, 2, 10]), new IPAddress([192, 0, 2, 11])];
        var question = new DnsMessage(7, false, [new DnsQuestion(KcoreService.ServiceName, DnsType.Ptr, true)], [], []);
        DnsMessage[] messages =
        [
            KcoreService.Describe(node, addresses, KcoreService.TimeToLive),
            KcoreService.Describe(node with { ClusterId = null, IsVirgin = false }, addresses, TimeSpan.Zero),
            question,
        ];
        return new FuzzTarget("dns-message", new ByteMutator(isBigEndian: true, lengthMax: DnsMessage.MaxSize + 1), [.. messages.Select(DnsWriter.Write)], bytes =>
        {
            if (!DnsReader.TryRead(bytes, out DnsMessage message))
            {
                return null;
            }

            foreach (DiscoveredPeer peer in KcoreService.ReadPeers(message, addresses[0], "eth0"))
            {
                if (peer.Addresses.Length is < 1 or > 8)
                {
                    throw new FuzzFailureException($"A sighting with {peer.Addresses.Length} addresses.", bytes);
                }
            }

            return message;
        });
    }
}
