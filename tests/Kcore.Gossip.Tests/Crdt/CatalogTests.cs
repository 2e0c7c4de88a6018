using System.Buffers;
using FsCheck;
using FsCheck.Fluent;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip.Tests.Crdt;

public sealed class CatalogTests
{
    private static readonly NodeId Owner = new(7);

    private static CatalogEntry Entry(string key, ulong version, bool tombstone = false) =>
        CatalogEntry.Create(Owner, key, version, 1, tombstone ? EntryFlags.Tombstone : default, new byte[] { (byte)version });

    /// <summary>The true history of one origin: write number i touches key ops[i] (negative: removes it).</summary>
    private static List<CatalogEntry> History(int[] ops) =>
        [.. ops.Select((op, i) => Entry($"k{Math.Abs(op % 5)}", (ulong)i + 1, op < 0))];

    private static void Deliver(OriginState state, List<CatalogEntry> history, int from, int to)
    {
        List<CatalogEntry> latest = [.. history[from..to].GroupBy(e => e.Key).Select(g => g.Last())];
        if ((ulong)from <= state.Version)
        {
            state.Advance((ulong)to);
        }

        foreach (CatalogEntry entry in latest)
        {
            state.Take(entry);
        }
    }

    private static string Shape(OriginState state) =>
        $"{state.Version} {state.Content:x} {string.Join(',', state.Entries.OrderBy(e => e.Key, StringComparer.Ordinal))}";

    /// <summary>Ranges in any order, repeated and overlapping, then one that closes all gaps.</summary>
    [Fact]
    public void Deltas_in_any_order_and_number_lead_to_the_same_state()
    {
        Gen<(int[] Ops, int[] Cuts)> cases =
            from ops in Gen.Choose(-9, 9).ArrayOf(40)
            from cuts in Gen.Choose(0, 40).ArrayOf(24)
            select (ops, cuts);
        Prop.ForAll(cases.ToArbitrary(), c =>
        {
            List<CatalogEntry> history = History(c.Ops);
            var ordered = new OriginState(Owner, 1);
            Deliver(ordered, history, 0, history.Count);
            var jumbled = new OriginState(Owner, 1);
            for (int i = 0; i + 1 < c.Cuts.Length; i += 2)
            {
                int from = Math.Min(c.Cuts[i], c.Cuts[i + 1]), to = Math.Max(c.Cuts[i], c.Cuts[i + 1]);
                if (from < to)
                {
                    ulong before = jumbled.Version;
                    Deliver(jumbled, history, from, to);
                    string once = Shape(jumbled);
                    Deliver(jumbled, history, from, to);
                    Assert.Equal(once, Shape(jumbled));
                    Assert.True(jumbled.Version >= before);
                }
            }

            Deliver(jumbled, history, (int)jumbled.Version, history.Count);
            return Shape(ordered) == Shape(jumbled);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Member_statements_join_to_the_same_maximum_in_any_order()
    {
        Gen<Member> members =
            from epoch in Gen.Choose(0, 3)
            from incarnation in Gen.Choose(0, 3)
            from status in Gen.Choose(0, 3)
            select MemberCodecTests.Member() with { Epoch = (uint)epoch, Incarnation = (uint)incarnation, Status = (MemberStatus)status };
        static Member Join(Member a, Member b) => a.CompareStatement(b) >= 0 ? a : b;
        Prop.ForAll(members.ArrayOf(3).ToArbitrary(), m =>
            Join(m[0], m[1]).Equals(Join(m[1], m[0]))
            && Join(Join(m[0], m[1]), m[2]).Equals(Join(m[0], Join(m[1], m[2])))
            && Join(m[0], m[0]).Equals(m[0])
            && Join(m[0], m[1]).CompareStatement(m[0]) >= 0).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void An_entry_has_these_bytes()
    {
        CatalogEntry entry = CatalogEntry.Create(Owner, "nic", 300, 2, EntryFlags.Tombstone, new byte[] { 9 });
        Assert.Equal("8501a36e696302cd012c03020401" + "05c40109", Convert.ToHexStringLower(entry.Raw.Span));
        Assert.True(CatalogEntry.TryParse(Owner, entry.Raw, out CatalogEntry? read));
        Assert.Equal(entry, read);
    }

    [Fact]
    public void Fields_of_newer_versions_stay_in_an_entry()
    {
        byte[] raw = Convert.FromHexString("8301a16b0201" + "7893c0c2a178");
        Assert.True(CatalogEntry.TryParse(Owner, raw, out CatalogEntry? entry));
        Assert.Equal("k", entry.Key);
        Assert.Equal(raw, entry.Raw.ToArray());
    }

    [Fact]
    public void A_cut_delta_is_a_prefix_in_version_order()
    {
        var origin = new OriginState(Owner, 1);
        for (ulong v = 1; v <= 60; v++)
        {
            origin.Advance(v);
            origin.Take(CatalogEntry.Create(Owner, $"key-{v}", v, 1, default, new byte[60]));
        }

        List<byte[]> frames = OriginFrames.Since(origin, 1, 5, WireLimits.PayloadBytes)!;
        Assert.True(frames.Count > 2);
        ulong at = 5;
        foreach (byte[] frame in frames)
        {
            Assert.True(frame.Length <= WireLimits.PayloadBytes);
            var reader = new MessagePackReader(frame.AsSpan(Frames.HeaderBytes));
            reader.BeginArray(6);
            reader.ReadId();
            reader.ReadUInt64();
            reader.ReadUInt64();
            Assert.Equal(at, reader.ReadUInt64());
            ulong to = reader.ReadUInt64();
            Assert.Equal((int)(to - at), reader.ReadArrayHeader());
            at = to;
        }

        Assert.Equal(60UL, at);
    }

    [Fact]
    public void Several_entries_of_one_version_are_never_separated()
    {
        var origin = new OriginState(NodeId.Raft, 1);
        origin.Advance(2);
        for (int i = 0; i < 30; i++)
        {
            origin.Take(CatalogEntry.Create(NodeId.Raft, $"lease-{i}", 2, 1, default, new byte[60]));
        }

        Assert.Null(OriginFrames.Since(origin, 1, 1, WireLimits.PayloadBytes));
        Assert.Single(OriginFrames.Since(origin, 1, 1, 60_000)!);
    }

    [Fact]
    public void Below_the_floor_there_is_only_a_snapshot()
    {
        var origin = new OriginState(Owner, 1);
        origin.Advance(3);
        origin.Take(Entry("a", 1));
        origin.Take(Entry("b", 2, tombstone: true));
        origin.Take(Entry("c", 3));
        Assert.Equal(["b"], origin.RaiseFloor(2).Select(e => e.Key));
        Assert.Equal((byte)FrameType.Snapshot, Assert.Single(OriginFrames.Since(origin, 1, 1, 1200)!)[0]);
        Assert.Equal((byte)FrameType.Delta, Assert.Single(OriginFrames.Since(origin, 1, 2, 1200)!)[0]);
        Assert.Empty(OriginFrames.Since(origin, 1, 3, 1200)!);
    }

    [Fact]
    public void A_tombstone_goes_when_all_have_it_or_after_a_day()
    {
        var clock = new TombstoneClock();
        TimeSpan min = TimeSpan.FromMinutes(10), max = TimeSpan.FromHours(24);
        clock.Mark(TimeSpan.Zero, 5);
        clock.Mark(TimeSpan.FromMinutes(5), 8);
        Assert.Equal(0UL, clock.Floor(TimeSpan.FromMinutes(9), min, max, stable: 8));
        Assert.Equal(3UL, clock.Floor(TimeSpan.FromMinutes(11), min, max, stable: 3));
        Assert.Equal(5UL, clock.Floor(TimeSpan.FromMinutes(11), min, max, stable: 8));
        Assert.Equal(5UL, clock.Floor(TimeSpan.FromHours(24), min, max, stable: 0));
    }

    [Fact]
    public void State_rebuilt_from_rows_has_the_same_digest()
    {
        var origin = new OriginState(Owner, 1);
        Deliver(origin, History([1, 2, -1, 3, 7]), 0, 5);
        var restored = new CatalogState([origin.Head], origin.Entries);
        Assert.Equal(Shape(origin), Shape(restored.Find(Owner)!));
    }
}

public sealed class MemberCodecTests
{
    internal static Member Member() => new()
    {
        Id = new NodeId(1),
        Epoch = 2,
        BootNonce = 3,
        Endpoint = new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 7946),
        RaftPort = 7947,
        Name = "a",
    };

    [Fact]
    public void A_member_has_these_bytes_and_keeps_what_it_does_not_know()
    {
        const string Known = "01c4100000000000000000000000000000000102020300040005030"
            + "6c4067f0000011f0a07cd1f0b08a161090" + "10a01";
        byte[] bytes = Convert.FromHexString("8b" + Known + "6393010203");
        var reader = new MessagePackReader(bytes);
        Member read = MemberCodec.Read(ref reader);
        Assert.Equal(Member() with { Unknown = Convert.FromHexString("6393010203"), UnknownCount = 1 }, read);
        var output = new ArrayBufferWriter<byte>();
        MemberCodec.Write(new MessagePackWriter(output), read);
        Assert.Equal(Convert.ToHexString(bytes), Convert.ToHexString(output.WrittenSpan));
        output.Clear();
        MemberCodec.Write(new MessagePackWriter(output), Member());
        Assert.Equal("8a" + Known, Convert.ToHexStringLower(output.WrittenSpan));
    }

    [Fact]
    public void Ids_are_thirty_two_lower_case_digits()
    {
        Assert.True(NodeId.TryParse("000102030405060708090a0b0c0d0e0f", out NodeId id));
        Assert.Equal("000102030405060708090a0b0c0d0e0f", id.ToString());
        Assert.Equal("00010203", id.Short);
        Assert.False(NodeId.TryParse("0001", out _));
        Assert.False(NodeId.TryParse("g00102030405060708090a0b0c0d0e0f", out _));
        Assert.Equal(new string('f', 32), NodeId.Raft.ToString());
    }
}
