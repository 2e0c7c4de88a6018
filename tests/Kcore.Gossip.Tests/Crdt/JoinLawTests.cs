using System.Net;
using FsCheck;
using FsCheck.Fluent;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip.Tests.Crdt;

/// <summary>
/// Merging is a join: what a node holds in the end depends on the set of messages it got, not on their order, number or
/// repetition; and nothing in it ever goes back.
/// </summary>
public sealed class JoinLawTests
{
    private static readonly NodeId Self = new(1);

    private static IPEndPoint At(int host) => new(new IPAddress([10, 0, 0, (byte)host]), 7946);

    private static GossipCore Core() =>
        new(new GossipOptions(), new LocalMember(Self, 1, 1, At(1), 7947, "node-1"), new CatalogState(), new Random(5), TimeSpan.Zero);

    private static void Receive(GossipCore core, byte[] frame) =>
        core.Handle(new GossipInput.Datagram(new NodeId(2), At(2), frame), TimeSpan.Zero, []);

    private static Gen<Member> Members =>
        from id in Gen.Choose(3, 6)
        from epoch in Gen.Choose(1, 3)
        from nonce in Gen.Choose(1, 2)
        from incarnation in Gen.Choose(0, 2)
        from status in Gen.Choose(0, 3)
        select new Member
        {
            Id = new NodeId((UInt128)id),
            Epoch = (uint)epoch,
            BootNonce = (ulong)nonce,
            Incarnation = (uint)incarnation,
            Status = (MemberStatus)status,
            Endpoint = At(id),
            RaftPort = 7947,
            Name = $"node-{id}",
            // One statement has one content: whoever makes another one raises the incarnation.
            Unknown = Convert.FromHexString(nonce == 1 ? "" : "7fc0"),
            UnknownCount = nonce == 1 ? 0 : 1,
        };

    /// <summary>Writes of one owner in two epochs, cut into the frames a peer may send, in any order.</summary>
    private static Gen<List<byte[]>> CatalogFrames =>
        from first in Gen.Choose(-9, 9).ArrayOf(12)
        from second in Gen.Choose(-9, 9).ArrayOf(12)
        from cuts in Gen.Choose(0, 12).ArrayOf(16)
        select Cut(History(1, first), cuts).Concat(Cut(History(2, second), cuts)).ToList();

    private static OriginState History(ulong epoch, int[] ops)
    {
        var origin = new OriginState(new NodeId(7), epoch);
        for (int i = 0; i < ops.Length; i++)
        {
            origin.Advance((ulong)i + 1);
            origin.Take(CatalogEntry.Create(
                origin.Origin, $"k{Math.Abs(ops[i] % 4)}", (ulong)i + 1, 1, ops[i] < 0 ? EntryFlags.Tombstone : default, new byte[] { (byte)i, (byte)epoch }));
        }

        origin.MarkComplete();
        return origin;
    }

    private static IEnumerable<byte[]> Cut(OriginState origin, int[] cuts)
    {
        foreach (byte[] frame in OriginFrames.Since(origin, 0, 0, 1200)!)
        {
            yield return frame;
        }

        foreach (int cut in cuts)
        {
            foreach (byte[] frame in OriginFrames.Since(origin, origin.Epoch, (ulong)cut, 200)!)
            {
                yield return frame;
            }
        }
    }

    private static string Shape(GossipCore core) =>
        $"{core.CatalogDigest:x} {core.MembershipDigest:x} {string.Join(',', core.Catalog.Entries.Where(e => !e.IsTombstone))} "
        + string.Join(',', core.Members.Members.Select(m => $"{m.Id.Short}:{m.Epoch}.{m.BootNonce}.{m.Incarnation}.{m.Status}"));

    private static byte[] RoundTrip(Member member)
    {
        byte[] frame = Frames.Member(member, null);
        var reader = new MessagePackReader(frame.AsSpan(Frames.HeaderBytes));
        reader.BeginArray(2);
        return Frames.Member(MemberCodec.Read(ref reader), null);
    }

    [Fact]
    public void Member_statements_in_any_order_and_number_lead_to_one_table()
    {
        Gen<(Member[] Members, int Seed)> cases = from m in Members.ArrayOf(14) from seed in Gen.Choose(0, int.MaxValue) select (m, seed);
        Prop.ForAll(cases.ToArbitrary(), c =>
        {
            GossipCore ordered = Core(), jumbled = Core();
            foreach (Member member in c.Members)
            {
                Receive(ordered, Frames.Member(member, null));
            }

            var random = new Random(c.Seed);
            Member[] again = [.. c.Members, .. c.Members];
            random.Shuffle(again);
            foreach (Member member in again)
            {
                MembershipView before = jumbled.Members;
                Receive(jumbled, RoundTrip(member));
                Assert.All(before.Members, m => Assert.True(jumbled.Members.Find(m.Id)!.CompareStatement(m) >= 0, "a statement went back"));
            }

            return Shape(ordered) == Shape(jumbled);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Deltas_and_snapshots_of_two_epochs_in_any_order_and_number_lead_to_one_catalog()
    {
        Gen<(List<byte[]> Frames, int Seed)> cases = from f in CatalogFrames from seed in Gen.Choose(0, int.MaxValue) select (f, seed);
        Prop.ForAll(cases.ToArbitrary(), c =>
        {
            GossipCore ordered = Core(), jumbled = Core();
            c.Frames.ForEach(f => Receive(ordered, f));
            byte[][] again = [.. c.Frames, .. c.Frames];
            new Random(c.Seed).Shuffle(again);
            (ulong Epoch, ulong Version) reached = default;
            foreach (byte[] frame in again)
            {
                Receive(jumbled, frame);
                OriginHead? head = jumbled.Catalog.Find(new NodeId(7))?.Head;
                (ulong Epoch, ulong Version) at = (head?.Epoch ?? 0, head?.Version ?? 0);
                Assert.True(reached.Version == 0 || at.CompareTo(reached) >= 0, $"fell back from {reached} to {at}");
                reached = at;
            }

            return Shape(ordered) == Shape(jumbled) && ordered.MalformedInputs + jumbled.MalformedInputs == 0;
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void What_a_newer_version_wrote_passes_a_relay_byte_for_byte()
    {
        // An entry with a field this version does not know, and a member with one.
        byte[] raw = Convert.FromHexString("8301a16b0201" + "7893c0c2a178");
        Assert.True(CatalogEntry.TryParse(new NodeId(7), raw, out CatalogEntry? entry));
        var head = new OriginHead(new NodeId(7), 1, 1, 0, Complete: true);
        Member newer = MemberCodecTests.Member() with { Id = new NodeId(9), Unknown = Convert.FromHexString("6393010203"), UnknownCount = 1 };
        byte[] memberFrame = Frames.Member(newer, null);
        GossipCore relay = Core();
        Receive(relay, Frames.Member(MemberCodecTests.Member() with { Id = new NodeId(2), Endpoint = At(2) }, null));
        Receive(relay, memberFrame);
        Receive(relay, Frames.Delta(head, 0, 1, [entry]));
        Receive(relay, [FutureKind, 0, 1, 0xc0]);
        List<GossipEffect> effects = [];
        relay.Handle(
            new GossipInput.StreamRequest(1, new NodeId(2), new[] { Frames.Heads(BucketSet.All, []), Frames.MemberHeads(BucketSet.All, []) }.SelectMany(f => f).ToArray()),
            TimeSpan.Zero,
            effects);
        byte[] answer = [.. effects.OfType<GossipEffect.Respond>().SelectMany(r => r.Body.ToArray())];
        Assert.True(answer.AsSpan().IndexOf(raw) >= 0, "the entry");
        Assert.True(answer.AsSpan().IndexOf(memberFrame) >= 0, "the member");
        Assert.Equal(1, relay.UnknownFrames);
    }

    private const byte FutureKind = 201;
}
