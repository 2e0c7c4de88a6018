using System.Net;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip.Tests;

/// <summary>One core alone, spoken to frame by frame.</summary>
public sealed class GossipCoreTests
{
    private readonly List<GossipEffect> _effects = [];
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

    private static GossipCore Core(CatalogState? state = null) =>
        new(new GossipOptions(), new LocalMember(Id(1), 1, 1, At(1), 7947, "node-1"), state ?? new CatalogState(), new Random(5), TimeSpan.Zero);

    private void Handle(GossipCore core, GossipInput input)
    {
        _effects.Clear();
        core.Handle(input, _now, _effects);
    }

    private void Receive(GossipCore core, int from, params byte[][] frames) =>
        Handle(core, new GossipInput.Datagram(Id(from), At(from), frames.SelectMany(f => f).ToArray()));

    /// <summary>Lets time pass; peers for which <paramref name="answers"/> holds acknowledge what they are asked.</summary>
    private List<GossipEffect> Run(GossipCore core, TimeSpan time, Func<NodeId, bool> answers)
    {
        List<GossipEffect> all = [];
        TimeSpan end = _now + time;
        int still = 0;
        while (core.NextDeadline <= end)
        {
            still = core.NextDeadline > _now ? 0 : still + 1;
            Assert.True(still < 1000, "It wants to be called again at once, for ever.");
            _now = core.NextDeadline > _now ? core.NextDeadline : _now;
            Handle(core, new GossipInput.Tick());
            all.AddRange(_effects);
            foreach (GossipEffect.Send send in _effects.OfType<GossipEffect.Send>().ToList())
            {
                if (send.To is { } to && answers(to) && Sequence(send.Payload.Span, FrameType.Ping) is { } sequence)
                {
                    Handle(core, new GossipInput.Datagram(to, send.Endpoint, Frames.Ack(sequence, new StateDigest(core.CatalogDigest, core.MembershipDigest, 0, 0), Id(1))));
                    all.AddRange(_effects);
                }
                else if (send.To is { } helper && answers(helper) && Sequence(send.Payload.Span, FrameType.PingRequest) is { } asked)
                {
                    Handle(core, new GossipInput.Datagram(helper, send.Endpoint, Frames.Nack(asked, Id(2))));
                    all.AddRange(_effects);
                }
            }
        }

        _now = end;
        return all;
    }

    private static ulong? Sequence(ReadOnlySpan<byte> payload, FrameType type)
    {
        while (payload.Length > 0)
        {
            int length = (payload[1] << 8) | payload[2];
            if (payload[0] == (byte)type)
            {
                var reader = new MessagePackReader(payload.Slice(3, length));
                reader.ReadArrayHeader();
                return reader.ReadUInt64();
            }

            payload = payload[(3 + length)..];
        }

        return null;
    }

    private static LocalWrite Write(string key, byte value) => new(key, 1, new[] { value });

    [Fact]
    public void Own_writes_are_on_disk_before_anybody_hears_of_them()
    {
        GossipCore core = Core();
        Receive(core, 2, Frames.Member(Peer(2), null));
        Handle(core, new GossipInput.Put([Write("a", 1), Write("b", 2)]));
        int persisted = _effects.FindIndex(e => e is GossipEffect.Persist { Durable: true, Entries.Length: 2 });
        int sent = _effects.FindIndex(e => e is GossipEffect.Send send && send.Payload.Span.IndexOf("a"u8) >= 0 && send.Payload.Span.IndexOf((byte)FrameType.Delta) >= 0);
        Assert.True(persisted >= 0 && sent > persisted, string.Join(", ", _effects));
    }

    [Fact]
    public void Writing_the_same_again_writes_nothing()
    {
        GossipCore core = Core();
        Handle(core, new GossipInput.Put([Write("a", 1), LocalWrite.Remove("never-there", 1)]));
        ulong digest = core.CatalogDigest;
        Handle(core, new GossipInput.Put([Write("a", 1), LocalWrite.Remove("never-there", 1)]));
        Assert.Empty(_effects);
        Assert.Equal(digest, core.CatalogDigest);
        Assert.Equal(1UL, core.Catalog.Find(Id(1))!.Version);
    }

    [Fact]
    public void An_accused_member_refutes_with_a_higher_incarnation()
    {
        GossipCore core = Core();
        Receive(core, 2, Frames.Member(Peer(2), null));
        Member self = core.Members.Find(Id(1))!;
        Receive(core, 2, Frames.Member(self with { Status = MemberStatus.Suspect }, Accusation.By(Id(3))));
        Assert.Equal((1U, MemberStatus.Alive), (core.Members.Find(Id(1))!.Incarnation, core.Members.Find(Id(1))!.Status));
        Assert.Contains(_effects, e => e is GossipEffect.Send { To: { } to } && to == Id(2));
        Assert.Equal(1, core.HealthScore);
    }

    [Fact]
    public void A_later_epoch_of_ours_seen_by_peers_is_overtaken_and_stored_first()
    {
        GossipCore core = Core();
        Receive(core, 2, Frames.Member(Peer(2), null));
        Receive(core, 2, Frames.Member(core.Members.Find(Id(1))! with { Epoch = 9 }, null));
        Assert.Equal(10U, core.Members.Find(Id(1))!.Epoch);
        Assert.Equal(0, _effects.FindIndex(e => e is GossipEffect.PersistEpoch { Epoch: 10 }));
    }

    [Fact]
    public void Another_life_that_is_over_is_overtaken_once_and_is_no_clone()
    {
        GossipCore core = Core();
        Receive(core, 2, Frames.Member(Peer(2), null));
        Member other = core.Members.Find(Id(1))! with { BootNonce = 77, Incarnation = 5, Status = MemberStatus.Dead };
        Receive(core, 2, Frames.Member(other, Accusation.By(Id(2))));
        Assert.Equal((2U, MemberStatus.Alive), (core.Members.Find(Id(1))!.Epoch, core.Members.Find(Id(1))!.Status));
        Assert.Equal(0, _effects.FindIndex(e => e is GossipEffect.PersistEpoch { Epoch: 2 }));
        Receive(core, 2, Frames.Member(other, Accusation.By(Id(2))));
        Assert.DoesNotContain(_effects, e => e is GossipEffect.CloneDetected or GossipEffect.PersistEpoch);
    }

    [Theory]
    [InlineData(77, false)]
    [InlineData(0, true)]
    public void Of_two_with_one_id_the_larger_boot_nonce_yields_and_both_say_so(ulong nonce, bool yields)
    {
        GossipCore core = Core();
        Receive(core, 2, Frames.Member(Peer(2), null));
        List<GossipEffect> all = [];
        for (int i = 0; i < 10; i++)
        {
            Receive(core, 2, Frames.Member(core.Members.Find(Id(1))! with { BootNonce = nonce, Epoch = core.Members.Find(Id(1))!.Epoch + 1 }, null));
            all.AddRange(_effects);
        }

        Assert.Equal(nonce, Assert.Single(all.OfType<GossipEffect.CloneDetected>()).OtherBootNonce);
        Assert.Equal(yields ? 3 : 6, all.Count(e => e is GossipEffect.PersistEpoch));
        Assert.Equal(yields ? 1 : 0, all.Count(e => e is GossipEffect.Yielded));
        Receive(core, 1, Frames.Member(core.Members.Find(Id(1))! with { BootNonce = 78 }, null));
        Assert.Contains(_effects, e => e is GossipEffect.CloneDetected { OtherBootNonce: 78 });
    }

    [Fact]
    public void Two_with_one_name_are_reported()
    {
        GossipCore core = Core();
        Receive(core, 2, Frames.Member(Peer(2) with { Name = "node-1" }, null));
        Assert.Contains(new GossipEffect.NameConflict("node-1", Id(1), Id(2)), _effects);
    }

    [Fact]
    public void A_refuted_suspicion_does_not_kill_the_member()
    {
        GossipCore core = Core();
        Receive(core, 2, Frames.Member(Peer(2), null));
        Receive(core, 3, Frames.Member(Peer(3), null));
        Receive(core, 3, Frames.Member(Peer(2) with { Status = MemberStatus.Suspect }, Accusation.By(Id(3))));
        Receive(core, 3, Frames.Member(Peer(2) with { Incarnation = 1 }, null));
        List<GossipEffect> all = Run(core, TimeSpan.FromSeconds(30), _ => true);
        Assert.DoesNotContain(all, e => e is GossipEffect.MemberChanged { After.Status: MemberStatus.Dead });
    }

    [Fact]
    public void A_silent_member_dies_at_the_floor_when_a_helper_confirms_it()
    {
        GossipCore core = Core();
        Receive(core, 2, Frames.Member(Peer(2), null));
        Receive(core, 3, Frames.Member(Peer(3), null));
        Run(core, TimeSpan.FromSeconds(5), _ => true);
        TimeSpan silent = _now;
        TimeSpan? pinged = null;
        List<GossipEffect> all = [];
        while (core.Members.Find(Id(2))!.Status != MemberStatus.Dead)
        {
            all.AddRange(Run(core, TimeSpan.FromMilliseconds(20), id => id == Id(3)));
            pinged ??= all.Any(e => e is GossipEffect.Send { To: { } to } && to == Id(2)) ? _now : null;
            Assert.True(_now - silent < TimeSpan.FromSeconds(10), "not buried");
        }

        // 200 ms for the pings, then the minimum and no less; that helpers are asked meanwhile costs nothing.
        Assert.InRange((_now - pinged!.Value).TotalSeconds, 2.66, 2.76);
        Assert.Contains(all, e => e is GossipEffect.OpenStream { To: var to } && to == Id(2));
        Assert.Contains(all, e => e is GossipEffect.MemberChanged { After.Status: MemberStatus.Dead, Accuser: { } accuser } && accuser == Id(1));
    }

    [Fact]
    public void Who_hears_from_nobody_buries_nobody_and_says_so()
    {
        GossipCore core = Core();
        for (int n = 2; n <= 6; n++)
        {
            Receive(core, n, Frames.Member(Peer(n), null));
        }

        Run(core, TimeSpan.FromSeconds(5), _ => true);
        List<GossipEffect> all = Run(core, TimeSpan.FromMinutes(2), _ => false);
        Assert.DoesNotContain(all, e => e is GossipEffect.MemberChanged { After.Status: MemberStatus.Dead });
        Assert.Contains(new GossipEffect.Isolated(true), all);
        Assert.Contains(new GossipEffect.Isolated(false), Run(core, TimeSpan.FromSeconds(20), _ => true));
    }

    [Fact]
    public void A_forgotten_member_stays_away_until_it_starts_anew()
    {
        GossipCore core = Core();
        Receive(core, 2, Frames.Member(Peer(2), null));
        Handle(core, new GossipInput.Forget(Id(2), 1));
        Assert.Contains(_effects, e => e is GossipEffect.MemberForgotten);
        Receive(core, 3, Frames.Member(Peer(2), null));
        Assert.Null(core.Members.Find(Id(2)));
        Receive(core, 2, Frames.Member(Peer(2) with { Epoch = 2 }, null));
        Assert.NotNull(core.Members.Find(Id(2)));
    }

    [Fact]
    public void Cluster_facts_are_equal_whatever_batches_the_log_was_applied_in()
    {
        LocalWrite[] writes = [Write("a", 1) with { Version = 3 }, Write("b", 2) with { Version = 5 }, Write("a", 3) with { Version = 6 }];
        GossipCore batch = Core(), single = Core();
        Handle(batch, new GossipInput.PutCluster(0, 7, 1, [.. writes]));
        Handle(single, new GossipInput.PutCluster(0, 3, 1, [writes[0]]));
        Handle(single, new GossipInput.PutCluster(3, 5, 1, [writes[1]]));
        Handle(single, new GossipInput.PutCluster(5, 6, 1, [writes[2]]));
        Handle(single, new GossipInput.PutCluster(6, 7, 1, []));
        Assert.Equal(batch.CatalogDigest, single.CatalogDigest);
        Handle(single, new GossipInput.PutCluster(3, 5, 1, [writes[1]]));
        Assert.Equal(batch.CatalogDigest, single.CatalogDigest);
    }

    [Theory]
    [InlineData(200)]
    [InlineData(201)]
    public void Frames_of_unknown_kinds_are_counted_and_stepped_over(byte kind)
    {
        GossipCore core = Core();
        Receive(core, 2, [kind, 0, 2, 1, 1], Frames.Member(Peer(2), null));
        Assert.NotNull(core.Members.Find(Id(2)));
        Assert.Equal(1, core.UnknownFrames);
    }
}
