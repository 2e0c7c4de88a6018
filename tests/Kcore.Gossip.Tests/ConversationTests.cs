using System.Net;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip.Tests;

/// <summary>What one core answers in situations in which whole clusters once went wrong.</summary>
public sealed class ConversationTests
{
    private readonly List<GossipEffect> _effects = [];
    private readonly GossipCore _core =
        new(new GossipOptions(), new LocalMember(Id(1), 1, 1, At(1), 7947, "node-1"), new CatalogState(), new Random(5), TimeSpan.Zero);

    private TimeSpan _now;

    private static IPEndPoint At(int host) => new(new IPAddress([10, 0, 0, (byte)host]), 7946);

    private static NodeId Id(int n) => new((UInt128)n);

    private static Member Peer(int n) => new()
    {
        Id = Id(n),
        Epoch = 1,
        BootNonce = (ulong)n,
        Endpoint = At(n),
        RaftPort = 7947,
        Name = $"node-{n}",
    };

    private static CatalogEntry Entry(NodeId origin, string key, ulong version) => CatalogEntry.Create(origin, key, version, 1, default, new byte[] { (byte)version });

    private static OriginHead Head(NodeId origin, ulong epoch, ulong version) => new(origin, epoch, version, 0, Complete: true);

    private StateDigest Agreeing => new(_core.CatalogDigest, _core.MembershipDigest, 0, 0);

    private void Handle(GossipInput input)
    {
        _effects.Clear();
        _core.Handle(input, _now, _effects);
    }

    private void Receive(int from, params byte[][] frames) =>
        Handle(new GossipInput.Datagram(Id(from), At(from), frames.SelectMany(f => f).ToArray()));

    private void Meet(params int[] peers)
    {
        foreach (int peer in peers)
        {
            Receive(peer, Frames.Member(Peer(peer), null));
        }
    }

    /// <summary>Frames sent to an address by the last input.</summary>
    private List<byte[]> SentTo(int host) =>
        [.. _effects.OfType<GossipEffect.Send>().Where(s => s.Endpoint.Equals(At(host))).SelectMany(s => Split(s.Payload))];

    private static IEnumerable<byte[]> Split(ReadOnlyMemory<byte> payload)
    {
        while (payload.Length > 0)
        {
            int length = 3 + ((payload.Span[1] << 8) | payload.Span[2]);
            yield return payload[..length].ToArray();
            payload = payload[length..];
        }
    }

    /// <summary>Lets time pass with nobody answering; counts the calls the core asks for.</summary>
    private int RunAlone(TimeSpan time)
    {
        int calls = 0;
        TimeSpan end = _now + time;
        while (_core.NextDeadline <= end && calls < 100_000)
        {
            calls++;
            _now = _core.NextDeadline;
            Handle(new GossipInput.Tick());
        }

        _now = end;
        return calls;
    }

    [Fact]
    public void A_leaving_node_does_not_ask_to_be_called_at_once_for_ever()
    {
        Meet(2, 3);
        Receive(3, Frames.Member(Peer(2) with { Status = MemberStatus.Suspect }, Accusation.By(Id(3))));
        Handle(new GossipInput.Contact(At(9)));
        Handle(new GossipInput.Leave());
        Assert.InRange(RunAlone(TimeSpan.FromSeconds(5)), 0, 50);
    }

    [Fact]
    public void Leaving_twice_states_nothing_again()
    {
        Meet(2);
        Handle(new GossipInput.Leave());
        Assert.Contains(_effects, e => e is GossipEffect.MemberChanged { After.Status: MemberStatus.Left });
        Handle(new GossipInput.Leave());
        Assert.DoesNotContain(_effects, e => e is GossipEffect.MemberChanged or GossipEffect.Send);
    }

    [Fact]
    public void A_whole_content_of_the_log_lets_no_older_fact_in()
    {
        Meet(2);
        Handle(new GossipInput.PutCluster(0, 3, 1, [new LocalWrite("lease-5", 1, new byte[] { 3 }) { Version = 3 }]));
        Handle(new GossipInput.PutCluster(0, 9, 1, []));
        Receive(2, Frames.Delta(Head(NodeId.Raft, 1, 3), 2, 3, [Entry(NodeId.Raft, "lease-5", 3)]));
        Assert.Null(_core.Catalog.Find(NodeId.Raft)!.Find("lease-5"));
    }

    [Theory]
    [InlineData(4, false)]
    [InlineData(1, true)]
    public void Only_an_acknowledgement_that_names_this_node_tells_what_is_held_of_it(int addressee, bool counts)
    {
        Meet(2);
        Handle(new GossipInput.Put([new LocalWrite("a", 1, new byte[] { 1 })]));
        ulong epoch = _core.Catalog.Find(Id(1))!.Epoch;
        Receive(2, Frames.Ack(7, Agreeing with { HeldEpoch = epoch, HeldVersion = 40 }, Id(addressee)));
        Assert.Equal(counts, _core.Catalog.Find(Id(1))!.Epoch > epoch);
    }

    [Fact]
    public void What_was_only_heard_of_is_not_given_to_others()
    {
        Meet(2, 3, 5);
        Receive(2, Frames.Heads(BucketSet.None, [new HeadDigest(Id(5), 9, 3, 77)]));
        Receive(3, Frames.Heads(BucketSet.All, [new HeadDigest(Id(5), 2, 3, 66)]));
        Assert.DoesNotContain(SentTo(3), f => f[0] is (byte)FrameType.Snapshot or (byte)FrameType.Delta);
    }

    [Fact]
    public void A_snapshot_of_nothing_withdraws_nothing()
    {
        Meet(2, 5);
        Receive(5, Frames.Delta(Head(Id(5), 2, 1), 0, 1, [Entry(Id(5), "a", 1)]));
        Receive(2, Frames.Snapshot(Head(Id(5), 9, 0), 0, last: true, []));
        Assert.NotNull(_core.Catalog.Find(Id(5))!.Find("a"));
        Assert.Equal(1, _core.MalformedInputs);
    }

    [Fact]
    public void Ones_own_echo_that_begins_with_another_member_is_no_clone()
    {
        Meet(2);
        Receive(1, Frames.Member(Peer(2) with { Status = MemberStatus.Suspect }, null), Frames.Member(_core.Members.Find(Id(1))!, null));
        Assert.DoesNotContain(_effects, e => e is GossipEffect.CloneDetected);
    }

    [Fact]
    public void An_owner_is_told_of_a_later_epoch_that_nobody_holds()
    {
        Meet(2, 5);
        Receive(5, Frames.Delta(Head(Id(5), 2, 1), 0, 1, [Entry(Id(5), "a", 1)]));
        Receive(2, Frames.Heads(BucketSet.None, [new HeadDigest(Id(5), 9, 3, 77)]));
        Receive(5, Frames.Ping(7, Id(1), Agreeing));
        byte[] expected = Frames.Ack(7, Agreeing with { HeldEpoch = 9 }, Id(5));
        Assert.Contains(SentTo(5), f => f.AsSpan().SequenceEqual(expected));
    }

    [Fact]
    public void Who_buried_us_gets_the_answer_though_we_buried_it_too()
    {
        Meet(2, 3);
        Receive(3, Frames.Member(Peer(2) with { Status = MemberStatus.Dead }, Accusation.By(Id(3))));
        Receive(2, Frames.Ack(7, Agreeing, Id(1)), Frames.Member(_core.Members.Find(Id(1))! with { Status = MemberStatus.Dead }, null));
        List<byte[]> answer = SentTo(2);
        byte[] self = Frames.Member(_core.Members.Find(Id(1))! with { Incarnation = 1 }, null);
        byte[] accusation = Frames.Member(Peer(2) with { Status = MemberStatus.Dead }, null);
        Assert.Contains(answer, f => f.AsSpan().SequenceEqual(self));
        Assert.Contains(answer, f => f.AsSpan().SequenceEqual(accusation));
    }

    [Fact]
    public void A_node_introduces_itself_to_strangers_until_somebody_knows_it_and_again_when_it_says_something_new()
    {
        Meet(2);
        Receive(2, Frames.Member(Peer(3), null), Frames.Member(Peer(4), null));
        Assert.True(ProbesIntroduce(3));
        Receive(2, Frames.Ack(7, Agreeing, Id(1)));
        Assert.False(ProbesIntroduce(3));
        Receive(2, Frames.Member(_core.Members.Find(Id(1))! with { Status = MemberStatus.Suspect }, null));
        Assert.True(ProbesIntroduce(3));
    }

    /// <summary>Whether the next ping to a member has our own statement with it.</summary>
    private bool ProbesIntroduce(int host)
    {
        while (true)
        {
            _now = _core.NextDeadline;
            Handle(new GossipInput.Tick());
            List<byte[]> sent = SentTo(host);
            if (sent.Exists(f => f[0] == (byte)FrameType.Ping))
            {
                return sent.Exists(f => f.AsSpan().SequenceEqual(Frames.Member(_core.Members.Find(Id(1))!, null)));
            }
        }
    }

    [Fact]
    public void A_member_that_others_bury_hears_of_it()
    {
        Meet(2, 3);
        Receive(3, Frames.Member(Peer(2) with { Status = MemberStatus.Dead }, Accusation.By(Id(3))));
        byte[] accusation = Frames.Member(Peer(2) with { Status = MemberStatus.Dead }, null);
        Assert.Contains(SentTo(2), f => f.AsSpan().SequenceEqual(accusation));
    }

    [Fact]
    public void Who_rises_from_the_dead_is_compared_with_at_once()
    {
        Meet(2, 3);
        Receive(3, Frames.Member(Peer(2) with { Status = MemberStatus.Dead }, Accusation.By(Id(3))));
        Receive(2, Frames.Member(Peer(2) with { Incarnation = 1 }, null));
        Assert.Contains(SentTo(2), f => f[0] == (byte)FrameType.Ping);
    }

    [Fact]
    public void Facts_of_a_life_that_their_owner_forgot_are_shown_to_it()
    {
        Meet(2, 5);
        Receive(5, Frames.Delta(Head(Id(5), 2, 1), 0, 1, [Entry(Id(5), "a", 1)]));
        Receive(2, Frames.Delta(Head(Id(5), 2, 8), 7, 8, [Entry(Id(5), "b", 8)]));
        Receive(5, Frames.Heads(BucketSet.All, [new HeadDigest(Id(5), 2, 1, _core.Catalog.Find(Id(5))!.Content)]));
        byte[] expected = Frames.Floating(Id(5), 2, [Entry(Id(5), "b", 8)]);
        Assert.Contains(SentTo(5), f => f.AsSpan().SequenceEqual(expected));
    }

    [Fact]
    public void An_owner_that_is_shown_facts_above_its_last_starts_over()
    {
        Meet(2);
        Handle(new GossipInput.Put([new LocalWrite("a", 1, new byte[] { 1 })]));
        OriginState own = _core.Catalog.Find(Id(1))!;
        ulong epoch = own.Epoch;
        Receive(2, Frames.Heads(BucketSet.None, [new HeadDigest(Id(1), epoch, 1, own.Content)]));
        Assert.Equal(epoch, own.Epoch);
        Receive(2, Frames.Heads(BucketSet.None, [new HeadDigest(Id(1), epoch, 1, own.Content, Surface: new Surface(77, 0, false))]));
        Assert.True(own.Epoch > epoch);
        epoch = own.Epoch;
        Receive(2, Frames.Floating(Id(1), epoch, [Entry(Id(1), "b", 9)]));
        Assert.True(own.Epoch > epoch);
    }

    [Fact]
    public void What_floats_here_and_what_floats_there_is_exchanged_where_the_same_is_settled()
    {
        Meet(2, 5);
        Receive(5, Frames.Delta(Head(Id(5), 2, 1), 0, 1, [Entry(Id(5), "a", 1)]));
        Receive(2, Frames.Delta(Head(Id(5), 2, 8), 7, 8, [Entry(Id(5), "b", 8)]));
        Receive(2, Frames.Heads(BucketSet.None, [new HeadDigest(Id(5), 2, 1, _core.Catalog.Find(Id(5))!.Content, Surface: new Surface(77, 0, false))]));
        List<byte[]> answer = SentTo(2);
        Assert.Contains(answer, f => f.AsSpan().SequenceEqual(Frames.Floating(Id(5), 2, [Entry(Id(5), "b", 8)])));
        Assert.Contains(answer, f => f.AsSpan().SequenceEqual(Frames.DeltaRequest([new HeadDigest(Id(5), 2, 1, 0)])));
        Receive(2, Frames.Floating(Id(5), 2, [Entry(Id(5), "c", 6), Entry(Id(5), "a", 2), Entry(Id(5), "b", 7)]));
        OriginState origin = _core.Catalog.Find(Id(5))!;
        Assert.Equal([2UL, 8UL, 6UL], origin.Entries.Select(e => e.Version));
        // Version 2 would follow the watermark, but a floating fact says nothing of what is between.
        Assert.Equal(1UL, origin.Version);
        Receive(2, Frames.DeltaRequest([new HeadDigest(Id(5), 2, 1, 0)]));
        Assert.Contains(SentTo(2), f => f[0] == (byte)FrameType.Floating);
    }

    [Fact]
    public void Of_more_floating_facts_of_a_dead_owner_than_are_kept_all_keep_the_same_in_whatever_order_they_come()
    {
        Meet(2, 5);
        Receive(2, Frames.Member(Peer(5) with { Status = MemberStatus.Dead }, Accusation.By(Id(2))));
        List<CatalogEntry> all = [.. Enumerable.Range(10, WireLimits.FloatingPerOrigin + 20).Select(i => Entry(Id(5), $"key-{i}", (ulong)i))];
        foreach (CatalogEntry[] part in all.AsEnumerable().Reverse().Chunk(30).Reverse())
        {
            Receive(2, Frames.Floating(Id(5), 2, part));
        }

        var other = new OriginState(Id(5), 2);
        foreach (CatalogEntry entry in all.AsEnumerable().Reverse())
        {
            other.TakeFloating(entry, mayDisplace: true, out _);
        }

        Assert.Equal(all.Skip(20), _core.Catalog.Find(Id(5))!.Entries.OrderBy(e => e.Version));
        Assert.Equal(other.HeadHash, _core.CatalogDigest);
        Assert.Contains(_effects, e => e is GossipEffect.CatalogResync);
    }

    [Fact]
    public void However_many_comparisons_come_in_one_datagram_the_answer_is_bounded()
    {
        Meet(2);
        for (int origin = 10; origin < 40; origin++)
        {
            Receive(2, Frames.Delta(Head(Id(origin), 2, 1), 0, 1, [Entry(Id(origin), "a", 1)]));
        }

        RunAlone(TimeSpan.FromSeconds(1));
        byte[] heads = Frames.Heads(BucketSet.All, []);
        Receive(2, [.. Enumerable.Repeat(heads, WireLimits.FramesPerDatagram)]);
        int once = 30 * Frames.Snapshot(Head(Id(10), 2, 1), 0, last: true, [Entry(Id(10), "a", 1)]).Length;
        Assert.InRange(SentTo(2).Sum(f => f.Length), once, Exchange.ReplyBytes + (2 * once));
    }

    [Fact]
    public void Nothing_that_floats_of_a_living_owner_makes_room_for_what_comes_later()
    {
        Meet(2, 5);
        List<CatalogEntry> all = [.. Enumerable.Range(10, WireLimits.FloatingPerOrigin + 1).Select(i => Entry(Id(5), $"key-{i}", (ulong)i))];
        Receive(2, Frames.Floating(Id(5), 2, all[..^1]));
        Receive(2, Frames.Floating(Id(5), 2, [all[^1]]));
        Assert.Equal(all[..^1], _core.Catalog.Find(Id(5))!.Entries.OrderBy(e => e.Version));
    }

    [Fact]
    public void A_later_epoch_of_which_nobody_holds_anything_hides_the_same_on_all()
    {
        Meet(2, 3, 5);
        Receive(5, Frames.Delta(Head(Id(5), 2, 1), 0, 1, [Entry(Id(5), "a", 1)]));
        ulong before = _core.CatalogDigest;
        ulong content = _core.Catalog.Find(Id(5))!.Content;
        Receive(2, Frames.Heads(BucketSet.None, [new HeadDigest(Id(5), 2, 1, content, Surface: new Surface(0, 9, false))]));
        Assert.NotEqual(before, _core.CatalogDigest);
        Assert.Single(_core.Catalog.Entries);
        ulong stale = _core.CatalogDigest;
        Receive(3, Frames.Heads(BucketSet.None, [new HeadDigest(Id(5), 2, 1, content, Surface: new Surface(0, 9, true))]));
        Assert.Empty(_core.Catalog.Entries);
        Assert.NotEqual(stale, _core.CatalogDigest);
        // Who knows less is told.
        Receive(2, Frames.Heads(BucketSet.None, [new HeadDigest(Id(5), 2, 1, content)]));
        byte[] expected = Frames.Heads(BucketSet.None, [new HeadDigest(Id(5), 2, 1, content, Surface: new Surface(0, 9, true))]);
        Assert.Contains(SentTo(2), f => f.AsSpan().SequenceEqual(expected));
    }

    [Fact]
    public void What_floats_of_a_later_epoch_replaces_what_is_hidden_and_nothing_that_is_shown()
    {
        Meet(2, 5);
        Receive(5, Frames.Delta(Head(Id(5), 2, 1), 0, 1, [Entry(Id(5), "a", 1)]));
        byte[] floating = Frames.Floating(Id(5), 9, [Entry(Id(5), "b", 4)]);
        Receive(2, floating);
        Assert.Equal("a", Assert.Single(_core.Catalog.Entries).Key);
        RunAlone(TimeSpan.FromSeconds(61));
        Assert.Empty(_core.Catalog.Entries);
        Receive(2, floating);
        Assert.Equal("b", Assert.Single(_core.Catalog.Entries).Key);
        Assert.Equal((9UL, 0UL), (_core.Catalog.Find(Id(5))!.Epoch, _core.Catalog.Find(Id(5))!.Version));
    }

    [Fact]
    public void A_floating_fact_does_not_take_the_row_of_the_settled_one()
    {
        Meet(2, 5);
        Receive(5, Frames.Delta(Head(Id(5), 2, 1), 0, 1, [Entry(Id(5), "a", 1)]));
        Receive(2, Frames.Delta(Head(Id(5), 2, 8), 7, 8, [Entry(Id(5), "a", 8)]));
        Assert.Equal(8UL, _core.Catalog.Find(Id(5))!.Find("a")!.Version);
        Assert.DoesNotContain(_effects.OfType<GossipEffect.Persist>(), p => p.Entries.Length > 0);
        Receive(2, Frames.Delta(Head(Id(5), 2, 8), 1, 8, []));
        Assert.Equal([8UL], _effects.OfType<GossipEffect.Persist>().SelectMany(p => p.Entries).Select(e => e.Version));
    }

    [Fact]
    public void What_settles_below_a_floating_fact_counts_in_the_digest()
    {
        Meet(2, 5);
        Receive(2, Frames.Delta(Head(Id(5), 2, 8), 7, 8, [Entry(Id(5), "a", 8)]));
        Receive(5, Frames.Delta(Head(Id(5), 2, 1), 0, 1, [Entry(Id(5), "a", 1)]));
        var same = new CatalogState([Head(Id(5), 2, 1)], [Entry(Id(5), "a", 1)]);
        same.Find(Id(5))!.TakeFloating(Entry(Id(5), "a", 8), mayDisplace: false, out _);
        same.Recount(same.Find(Id(5))!);
        Assert.Equal(same.Root, _core.CatalogDigest);
        Assert.Equal([1UL], _effects.OfType<GossipEffect.Persist>().SelectMany(p => p.Entries).Select(e => e.Version));
    }

    [Fact]
    public void The_address_of_the_only_member_met_is_kept_when_that_is_removed()
    {
        Meet(2);
        Handle(new GossipInput.Forget(Id(2), uint.MaxValue));
        List<GossipEffect> all = [];
        for (int i = 0; i < 10; i++)
        {
            _now += TimeSpan.FromSeconds(1);
            Handle(new GossipInput.Tick());
            all.AddRange(_effects);
        }

        Assert.Contains(all, e => e is GossipEffect.Send send && send.Endpoint.Equals(At(2)));
    }
}
