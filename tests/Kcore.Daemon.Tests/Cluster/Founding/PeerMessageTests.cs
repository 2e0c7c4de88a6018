using System.Net;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Gossip;
using Kcore.Gossip.Wire;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Daemon.Tests.Cluster.Founding;

/// <summary>The small messages nodes exchange on streams: hello, join, propose.</summary>
public sealed class PeerMessageTests
{
    private static readonly ClusterRef Home = new(Guid.Parse("00112233-4455-6677-8899-aabbccddeeff"), 3);

    private static readonly IPEndPoint Endpoint = new(new IPAddress([192, 0, 2, 10]), 7946);

    [Fact]
    public void A_hello_is_read_as_it_was_said()
    {
        HelloMessage[] messages = [new("node-a", Home, true, Endpoint) { BootNonce = 77, Twin = new IPEndPoint(IPAddress.Loopback, 5) }, new("node-a", Home, true, Endpoint) { Known = new KnownStart(uint.MaxValue, 3) }, new("node-a", Home, true, Endpoint), new("node-a", Home, false, Endpoint) { Removed = true }, new("node-a", Home, false, Endpoint) { Decides = true }, new("", null, false, Endpoint), new("node-a", Home with { Epoch = uint.MaxValue }, false, Endpoint)];

        Assert.All(messages, m => Assert.Equal(m, HelloMessage.Decode(m.Encode().Span)));
    }

    [Theory]
    [InlineData(5, 70, false)]
    [InlineData(4, 71, false)]
    [InlineData(5, 71, true)]
    [InlineData(6, 71, true)]
    public void A_start_is_overtaken_by_another_one_that_is_not_older(uint epoch, ulong nonce, bool isOvertaken) =>
        Assert.Equal(isOvertaken, new KnownStart(5, 70).IsOvertakenBy(new KnownStart(epoch, nonce)));

    [Fact]
    public void A_hello_tells_which_clusters_have_ended()
    {
        Guid[] ended = [.. Enumerable.Range(0, 40).Select(_ => Guid.NewGuid())];
        HelloMessage read = HelloMessage.Decode(new HelloMessage("node-a", Home, true, Endpoint, [.. ended]).Encode().Span);

        Assert.Equal(ended.Take(HelloMessage.EndedMax), read.Ended);
        Assert.True(HelloMessage.Decode(new HelloMessage("node-a", null, true, Endpoint, []).Encode().Span).Ended.IsDefault);
    }

    [Fact]
    public void A_key_is_read_as_it_was_given_and_a_refusal_gives_its_reason()
    {
        var key = new RingKey(3, new ClusterSecret([.. Enumerable.Range(0, 32).Select(i => (byte)i)]), TimeSpan.FromHours(2), null);
        RingKey read = KeyReply.Decode(new KeyReply(key, null).Encode()).Key!;

        Assert.Equal((key.Name, key.Overlap), (read.Name, read.Overlap));
        Assert.True(read.Secret.HasSameBytes(key.Secret));
        Assert.Equal("not a member", KeyReply.Decode(new KeyReply(null, "not a member").Encode()).Refusal);
        Assert.Equal(new KeyRequest(Home.Id, 9), KeyRequest.Decode(new KeyRequest(Home.Id, 9).Encode().Span));
    }

    [Fact]
    public void What_a_node_states_of_its_keys_is_read_back_and_nonsense_is_nothing()
    {
        var holding = new KeyHolding([new KeyName(0, 9), new KeyName(1, 3)], new KeyName(1, 3));
        CatalogEntry Entry(ReadOnlyMemory<byte> value, string key = KeyHolding.Key) =>
            CatalogEntry.Create(new NodeId(1), key, 1, KeyHolding.Kind, EntryFlags.None, value);

        Assert.Equal(holding, KeyHolding.Read(Entry(holding.Encode())));
        Assert.Null(KeyHolding.Read(Entry(holding.Encode(), "other")));
        Assert.Null(KeyHolding.Read(Entry(new KeyHolding([new KeyName(0, 9)], new KeyName(1, 3)).Encode())));
        Assert.Null(KeyHolding.Read(Entry(new KeyHolding([new KeyName(uint.MaxValue, 9)], new KeyName(uint.MaxValue, 9)).Encode())));
        byte[] bytes = holding.Encode().ToArray();
        for (int length = 0; length < bytes.Length; length++)
        {
            Assert.Null(KeyHolding.Read(Entry(bytes.AsMemory(0, length))));
        }
    }

    [Fact]
    public void A_request_to_join_is_read_as_it_was_sent()
    {
        var request = new JoinRequest("node-a", Guid.NewGuid());

        Assert.Equal(request, JoinRequest.Decode(request.Encode().Span));
    }

    [Fact]
    public void An_answer_to_join_names_the_cluster_and_a_bounded_number_of_contacts()
    {
        JoinReply read = JoinReply.Decode(new JoinReply(Home, [.. Enumerable.Range(1, 100).Select(i => $"192.0.2.{i}:7946")], null).Encode().Span);

        Assert.Equal(Home, read.Cluster);
        Assert.Equal(32, read.Contacts.Length);
        Assert.Equal("192.0.2.1:7946", read.Contacts[0]);
        Assert.Null(read.Refusal);
    }

    [Fact]
    public void A_refusal_to_join_gives_its_reason()
    {
        JoinReply read = JoinReply.Decode(new JoinReply(null, [], "the name is taken").Encode().Span);

        Assert.Null(read.Cluster);
        Assert.Equal("the name is taken", read.Refusal);
    }

    [Fact]
    public void A_proposal_and_its_answers_are_read_as_they_were_sent()
    {
        LedgerRequest request = LedgerRequest.Decode(new LedgerRequest(Home, new byte[] { 1, 2, 3 }).Encode().Span);
        LedgerReply done = LedgerReply.Decode(new LedgerReply(null, new byte[] { 4, 5 }, null).Encode().Span);
        LedgerReply failed = LedgerReply.Decode(new LedgerReply(ProposeFailure.UnknownOutcome, default, "time ran out").Encode().Span);

        Assert.Equal(Home, request.Cluster);
        Assert.Equal([1, 2, 3], request.Command.ToArray());
        Assert.Null(done.Failure);
        Assert.Equal([4, 5], done.Result.ToArray());
        Assert.Equal((ProposeFailure.UnknownOutcome, "time ran out", null), (failed.Failure, failed.Text, failed.Leader));
        Assert.Equal(new NodeId(5), LedgerReply.Decode(new LedgerReply(ProposeFailure.NotLeader, default, "", new NodeId(5)).Encode().Span).Leader);
    }

    [Fact]
    public void A_command_too_large_for_the_log_is_not_read() =>
        Assert.Throws<WireFormatException>(() => LedgerRequest.Decode(new LedgerRequest(Home, new byte[(64 * 1024) + 1]).Encode().Span));
}
