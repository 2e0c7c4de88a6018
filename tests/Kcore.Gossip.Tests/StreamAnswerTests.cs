using System.Net;
using System.Text;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip.Tests;

/// <summary>Answers over streams, and what a later epoch without its snapshot does to what is shown.</summary>
public sealed class StreamAnswerTests
{
    private readonly List<GossipEffect> _effects = [];

    private static IPEndPoint At(int host) => new(new IPAddress([10, 0, 0, (byte)host]), 7946);

    private static NodeId Id(int n) => new((UInt128)n);

    private static GossipCore Core(int n) =>
        new(new GossipOptions(), new LocalMember(Id(n), 1, (ulong)n, At(n), 7947, $"node-{n}"), new CatalogState(), new Random(n), TimeSpan.Zero);

    private static LocalWrite Write(string key, string value) => new(key, 1, Encoding.UTF8.GetBytes(value));

    private List<GossipEffect.Respond> Handle(GossipCore core, GossipInput input, TimeSpan now = default)
    {
        _effects.Clear();
        core.Handle(input, now, _effects);
        return [.. _effects.OfType<GossipEffect.Respond>()];
    }

    private static GossipCore Full()
    {
        GossipCore core = Core(1);
        core.Handle(new GossipInput.Put([.. Enumerable.Range(0, 500).Select(i => Write($"nic-{i}", new string('x', 1000)))]), TimeSpan.Zero, []);
        return core;
    }

    [Fact]
    public void A_long_answer_is_made_piece_by_piece_as_it_is_written_and_is_whole_in_the_end()
    {
        GossipCore core = Full(), reader = Core(2);
        var stream = new GossipInput.StreamRequest(1, Id(2), Frames.Heads(BucketSet.All, []));
        List<GossipEffect.Respond> pieces = Handle(core, stream);
        Assert.Equal(2, pieces.Count);
        Assert.Empty(Handle(core, new GossipInput.Tick()));
        while (!pieces[^1].Last)
        {
            pieces.Add(Assert.Single(Handle(core, new GossipInput.StreamWritable(1))));
        }

        Assert.True(pieces.Count > 7, $"{pieces.Count} pieces");
        Assert.All(pieces, p => Assert.InRange(p.Body.Length, 1, WireLimits.StreamChunkBytes));
        Assert.Empty(Handle(core, new GossipInput.StreamWritable(1)));
        foreach (GossipEffect.Respond piece in pieces)
        {
            Assert.Empty(reader.Catalog.Entries);
            // Datagrams carry at most 9,000 bytes, so the pieces go in as the answer to a stream of the reader's own.
            Handle(reader, new GossipInput.StreamRequest(9, Id(1), piece.Body));
        }

        Assert.Equal(500, reader.Catalog.Entries.Count());
        Assert.Equal(core.CatalogDigest, reader.CatalogDigest);
    }

    [Fact]
    public void What_is_written_while_an_answer_is_on_its_way_does_not_mix_into_it()
    {
        GossipCore core = Full(), reader = Core(2);
        List<GossipEffect.Respond> pieces = Handle(core, new GossipInput.StreamRequest(1, Id(2), Frames.Heads(BucketSet.All, [])));
        Handle(core, new GossipInput.Put([.. Enumerable.Range(0, 500).Select(i => LocalWrite.Remove($"nic-{i}", 1))]));
        while (!pieces[^1].Last)
        {
            pieces.Add(Assert.Single(Handle(core, new GossipInput.StreamWritable(1))));
        }

        pieces.ForEach(p => Handle(reader, new GossipInput.StreamRequest(9, Id(1), p.Body)));
        Assert.Equal((500UL, 500), (reader.Catalog.Find(Id(1))!.Version, reader.Catalog.Entries.Count(e => !e.IsTombstone)));
        Assert.Equal(0, reader.MalformedInputs);
    }

    [Fact]
    public void An_abandoned_answer_is_not_made_further()
    {
        GossipCore core = Full();
        Handle(core, new GossipInput.StreamRequest(1, Id(2), Frames.Heads(BucketSet.All, [])));
        Handle(core, new GossipInput.StreamAborted(1));
        Assert.Empty(Handle(core, new GossipInput.StreamWritable(1)));
    }

    [Fact]
    public void Entries_of_an_old_epoch_are_shown_for_a_minute_and_again_when_nothing_newer_came_but_an_answer()
    {
        GossipCore core = Core(2);
        CatalogEntry old = CatalogEntry.Create(Id(7), "nic", 1, 1, default, "old"u8.ToArray());
        CatalogEntry later = CatalogEntry.Create(Id(7), "nic", 4, 1, default, "new"u8.ToArray());
        GossipInput From(byte[] frame) => new GossipInput.Datagram(Id(3), At(3), frame);
        Handle(core, From(Frames.Delta(new OriginHead(Id(7), 1, 1, 0, true), 0, 1, [old])));
        Handle(core, From(Frames.Delta(new OriginHead(Id(7), 2, 4, 0, true), 3, 4, [later])));
        Assert.True(core.Catalog.Find(Id(7))!.IsStale);
        Handle(core, new GossipInput.Tick(), TimeSpan.FromSeconds(59));
        Assert.Equal(old, Assert.Single(core.Catalog.Entries));
        Handle(core, new GossipInput.Tick(), TimeSpan.FromSeconds(60));
        Assert.Contains(new GossipEffect.CatalogResync(Id(7)), _effects);
        Assert.Empty(core.Catalog.Entries);
        Handle(core, From(Frames.Snapshot(new OriginHead(Id(7), 2, 4, 0, true), 0, true, [later])), TimeSpan.FromSeconds(61));
        Assert.Contains(new GossipEffect.CatalogResync(Id(7)), _effects);
        Assert.Equal(later, Assert.Single(core.Catalog.Entries));
    }

    [Fact]
    public void A_newcomer_fetches_the_members_first_and_then_disjoint_parts_from_three()
    {
        GossipCore core = Core(2);
        GossipInput From(int n, params byte[][] frames) => new GossipInput.Datagram(Id(n), At(n), frames.SelectMany(f => f).ToArray());
        Member Peer(int n) => new() { Id = Id(n), Epoch = 1, BootNonce = 1, Endpoint = At(n), RaftPort = 7947, Name = $"node-{n}" };
        Handle(core, From(3, Frames.Member(Peer(3), null), Frames.StreamHint()));
        GossipEffect.OpenStream members = Assert.Single(_effects.OfType<GossipEffect.OpenStream>());
        byte[] body = [.. Enumerable.Range(3, 6).SelectMany(n => Frames.Member(Peer(n), null))];
        Handle(core, new GossipInput.StreamReply(members.Stream, body, Last: true));
        List<GossipEffect.OpenStream> parts = [.. _effects.OfType<GossipEffect.OpenStream>()];
        Assert.Equal(3, parts.Select(p => p.To).Distinct().Count());
        ulong all = 0;
        foreach (GossipEffect.OpenStream part in parts)
        {
            var reader = new MessagePackReader(part.Body.Span[Frames.HeaderBytes..]);
            reader.BeginArray(3);
            ulong buckets = reader.ReadUInt64();
            Assert.Equal(0UL, all & buckets);
            all |= buckets;
        }

        Assert.Equal(ulong.MaxValue, all);
    }
}
