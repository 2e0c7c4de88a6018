using Kcore.Gossip.Wire;
using static Kcore.Gossip.Tests.LoneCore;

namespace Kcore.Gossip.Tests.Crdt;

/// <summary>What a node must not take for a fact, and what no news about members may do to facts.</summary>
public sealed class FactDisbeliefTests
{
    private readonly LoneCore _node = new();

    private CatalogState Catalog => _node.Core.Catalog;

    [Fact]
    public void N2_a_fact_needs_nothing_to_be_known_of_its_origin()
    {
        _node.Receive(2, Delta(7, 1, 0, 1, Entry(7, "a", 1)));
        Assert.Equal(1UL, Catalog.Find(Id(7))?.Version);
        Assert.Single(Catalog.Entries);
    }

    [Fact]
    public void N1_the_first_of_two_facts_with_one_version_stays()
    {
        _node.Receive(2, Delta(7, 1, 0, 1, Entry(7, "a", 1, value: 1)));
        ulong digest = _node.Core.CatalogDigest;
        _node.Receive(3, Delta(7, 1, 0, 1, Entry(7, "a", 1, value: 2)));
        Assert.Equal(1, Catalog.Find(Id(7))!.Find("a")!.Value.Span[0]);
        Assert.Equal(digest, _node.Core.CatalogDigest);
    }

    [Fact]
    public void S1_what_is_known_is_neither_shown_nor_told_again()
    {
        _node.Receive(2, Frames.Member(Peer(2), null));
        _node.Receive(2, Frames.Member(Peer(3), null));
        byte[] delta = Delta(7, 1, 0, 1, Entry(7, "a", 1));
        _node.Receive(2, delta);
        Assert.Contains(_node.Effects, effect => effect is GossipEffect.CatalogChanged);
        _node.Run(TimeSpan.FromSeconds(1), _ => true);
        _node.Receive(3, delta);
        Assert.Empty(_node.Effects);
        Assert.DoesNotContain(_node.Run(TimeSpan.FromSeconds(1), _ => true), done => done.Effect is GossipEffect.Send send && send.Payload.Span.IndexOf((byte)FrameType.Delta) == 0);
    }

    [Fact]
    public void R2_a_fact_above_a_gap_is_seen_and_moves_no_watermark()
    {
        _node.Receive(2, Delta(7, 1, 4, 5, Entry(7, "a", 5)));
        Assert.Equal(0UL, Catalog.Find(Id(7))!.Version);
        Assert.Single(Catalog.Entries);
        _node.Receive(2, Delta(7, 1, 0, 4, Entry(7, "b", 4)));
        _node.Receive(2, Delta(7, 1, 4, 5, Entry(7, "a", 5)));
        Assert.Equal(5UL, Catalog.Find(Id(7))!.Version);
    }

    [Fact]
    public void Above_a_gap_no_more_is_kept_than_the_bound_says()
    {
        for (int i = 0; i < WireLimits.FloatingPerOrigin + 10; i++)
        {
            ulong version = (ulong)i + 10;
            _node.Receive(2, Delta(7, 1, version - 1, version, Entry(7, $"key-{i}", version)));
        }

        Assert.Equal(WireLimits.FloatingPerOrigin, Catalog.Entries.Count());
    }

    [Fact]
    public void S3_a_version_that_jumps_is_refused()
    {
        _node.Receive(2, Delta(7, 1, 0, 1, Entry(7, "a", 1)));
        _node.Receive(2, Delta(7, 1, 1, WireLimits.VersionJump + 2));
        Assert.Equal((1UL, 1L), (Catalog.Find(Id(7))!.Version, _node.Core.MalformedInputs));
    }

    [Fact]
    public void R1_nothing_of_an_earlier_epoch_is_added_to_a_later_one()
    {
        _node.Receive(2, Delta(7, 2, 0, 1, Entry(7, "a", 1)));
        _node.Receive(2, Delta(7, 1, 1, 2, Entry(7, "b", 2)));
        Assert.Equal((2UL, 1UL), (Catalog.Find(Id(7))!.Epoch, Catalog.Find(Id(7))!.Version));
        _node.Receive(2, Frames.Snapshot(new OriginHead(Id(7), 1, 9, 0, true), 0, last: true, [Entry(7, "c", 9)]));
        Assert.Equal((2UL, 1UL), (Catalog.Find(Id(7))!.Epoch, Catalog.Find(Id(7))!.Version));
        Assert.Equal("a", Assert.Single(Catalog.Entries).Key);
    }

    [Fact]
    public void R3_a_snapshot_shows_when_its_last_part_of_one_sender_is_there()
    {
        var head = new OriginHead(Id(7), 1, 2, 0, true);
        _node.Receive(2, Frames.Snapshot(head, 0, last: false, [Entry(7, "a", 1)]));
        Assert.Empty(Catalog.Entries);
        _node.Receive(3, Frames.Snapshot(head, 1, last: true, [Entry(7, "z", 2)]));
        Assert.Empty(Catalog.Entries);
        _node.Receive(2, Frames.Snapshot(head with { Version = 3 }, 1, last: true, [Entry(7, "z", 3)]));
        Assert.Empty(Catalog.Entries);
        _node.Receive(2, Frames.Snapshot(head, 1, last: true, [Entry(7, "b", 2)]));
        Assert.Equal(["a", "b"], Catalog.Entries.Select(entry => entry.Key));
    }

    [Fact]
    public void A_fact_older_than_the_tombstones_its_owner_disposed_of_does_not_come_back()
    {
        _node.Receive(2, Delta(7, 1, 0, 2, Entry(7, "gone", 2, isTombstone: true)));
        _node.Receive(2, Frames.Delta(new OriginHead(Id(7), 1, 3, 2, true), 2, 3, [Entry(7, "kept", 3)]));
        Assert.Null(Catalog.Find(Id(7))!.Find("gone"));
        _node.Receive(3, Delta(7, 1, 0, 1, Entry(7, "gone", 1)));
        Assert.Equal("kept", Assert.Single(Catalog.Entries).Key);
    }

    [Fact]
    public void R7_the_digest_tells_how_far_an_origin_is_known_though_only_tombstones_came()
    {
        _node.Receive(2, Delta(7, 1, 0, 1, Entry(7, "a", 1, isTombstone: true)));
        ulong before = _node.Core.CatalogDigest;
        _node.Receive(2, Delta(7, 1, 1, 2, Entry(7, "b", 2, isTombstone: true)));
        Assert.NotEqual(before, _node.Core.CatalogDigest);
    }

    [Fact]
    public void Of_an_origin_that_was_only_heard_of_nothing_is_given()
    {
        _node.Receive(2, Frames.Member(Peer(2), null));
        _node.Receive(2, Frames.Heads(BucketSet.None, [new HeadDigest(Id(7), 5, 3, 1)]));
        Assert.Contains(FrameType.DeltaRequest, _node.Kinds());
        _node.Receive(2, Frames.Heads(BucketSet.None, [new HeadDigest(Id(7), 4, 2, 1)]));
        Assert.DoesNotContain(_node.Kinds(), kind => kind is FrameType.Snapshot or FrameType.Delta);
    }

    [Fact]
    public void R1_who_lost_its_store_starts_a_new_sequence_and_only_on_word_that_is_meant_for_it()
    {
        _node.Receive(2, Frames.Member(Peer(2), null));
        _node.Handle(new GossipInput.Put([new LocalWrite("a", 1, new byte[] { 1 })]));
        OriginState own = Catalog.Find(Id(1))!;
        ulong epoch = own.Epoch;
        _node.Receive(2, Frames.Ack(9, new StateDigest(1, 1, epoch, 99), Id(9)));
        Assert.Equal(epoch, own.Epoch);
        _node.Receive(2, Frames.Ack(9, new StateDigest(1, 1, epoch, 99), Id(1)));
        Assert.True(own.Epoch > epoch);
        Assert.Equal(1UL, own.Version);
    }

    [Fact]
    public void N3_R6_a_death_neither_withdraws_facts_nor_writes_tombstones()
    {
        _node.Receive(2, Frames.Member(Peer(2), null));
        _node.Receive(3, Frames.Member(Peer(3), null));
        _node.Receive(2, Delta(2, 1, 0, 1, Entry(2, "a", 1)));
        ulong digest = _node.Core.CatalogDigest;
        _node.Receive(3, Frames.Member(Peer(2) with { Status = MemberStatus.Dead }, Accusation.By(Id(3))));
        Assert.Equal(MemberStatus.Dead, _node.Core.Members.Find(Id(2))!.Status);
        Assert.False(Assert.Single(Catalog.Entries).IsTombstone);
        Assert.Equal(digest, _node.Core.CatalogDigest);
    }

    [Fact]
    public void R4_R5_tombstones_go_when_their_owner_knows_that_all_have_them_and_those_of_others_stay()
    {
        var node = new LoneCore(new GossipOptions { TombstoneMin = TimeSpan.FromSeconds(1), TombstoneMax = TimeSpan.FromMinutes(10) });
        node.Receive(2, Frames.Member(Peer(2), null));
        node.Receive(2, Delta(7, 1, 0, 1, Entry(7, "theirs", 1, isTombstone: true)));
        node.Handle(new GossipInput.Put([new LocalWrite("own", 1, new byte[] { 1 })]));
        node.Handle(new GossipInput.Put([LocalWrite.Remove("own", 1)]));
        OriginState own = node.Core.Catalog.Find(Id(1))!;
        node.Run(TimeSpan.FromMinutes(2), _ => true, own.Epoch, 1);
        Assert.True(own.Find("own")?.IsTombstone);
        node.Run(TimeSpan.FromMinutes(2), _ => true, own.Epoch, 2);
        Assert.Null(own.Find("own"));
        node.Run(TimeSpan.FromMinutes(20), _ => true, own.Epoch, 2);
        Assert.True(node.Core.Catalog.Find(Id(7))!.Find("theirs")?.IsTombstone);
    }

    [Fact]
    public void M2_a_difference_is_repaired_first_by_datagrams_and_then_by_stream()
    {
        _node.Receive(2, Frames.Member(Peer(2), null));
        _node.Run(TimeSpan.FromSeconds(3), _ => true);
        HashSet<FrameType> said = [];
        bool isStreamed = false;
        for (int i = 0; i < 20; i++)
        {
            _node.Receive(2, Frames.Ack(999, new StateDigest(1, 1, 0, 0), Id(1)));
            said.UnionWith(_node.Kinds());
            isStreamed |= _node.Effects.Exists(effect => effect is GossipEffect.OpenStream { To: var to } && to == Id(2));
            _node.Run(TimeSpan.FromMilliseconds(200), _ => false);
        }

        Assert.Contains(FrameType.MemberHeads, said);
        Assert.True(isStreamed);
    }

    [Fact]
    public void M14_a_rumor_that_is_repeated_takes_the_place_of_its_earlier_self()
    {
        var queue = new RumorQueue();
        for (int i = 0; i < 100; i++)
        {
            queue.Add(new RumorKey(Id(7), "a"), RumorClass.Relayed, Id(2));
        }

        Assert.Equal((1, 1), (queue.Count, queue.Fresh.Count));
    }

    [Fact]
    public void N5_frames_share_the_room_of_one_datagram()
    {
        List<byte[]> packets = Packets.Pack([new byte[700], new byte[700], new byte[400], new byte[100]], WireLimits.PayloadBytes);
        Assert.Equal([700, 1200], packets.Select(packet => packet.Length));
    }
}
