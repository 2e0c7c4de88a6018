using System.Net;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip.Tests.Wire;

public sealed class ProbeTrafficTests
{
    private static readonly NodeId Node = new(5);
    private static readonly byte[] Ping = Frames.Ping(1, Node, default);
    private static readonly byte[] Ack = Frames.Ack(2, default, Node);
    private static readonly byte[] Nack = Frames.Nack(3, Node);
    private static readonly byte[] Vouch = Frames.Vouch(4, Node);
    private static readonly byte[] Request = Frames.PingRequest(5, Node, new IPEndPoint(IPAddress.Loopback, 7946), TimeSpan.FromSeconds(1));
    private static readonly byte[] Heads = Frames.Heads(BucketSet.All, [new HeadDigest(Node, 1, 9, 7)]);
    private static readonly byte[] Wanted = Frames.DeltaRequest([new HeadDigest(Node, 1, 9, 7)]);
    private static readonly byte[] Statement = Frames.Member(
        new Member { Id = Node, Epoch = 1, BootNonce = 2, Endpoint = new IPEndPoint(IPAddress.Loopback, 7946), RaftPort = 7947, Name = "a" }, null);

    [Fact]
    public void Probes_and_their_answers_pass_and_what_tells_versions_or_facts_waits()
    {
        Check([Ping, Heads, Ack, Wanted, Nack, Vouch, Request], statements: true, [Ping, Ack, Nack, Vouch, Request], [Heads, Wanted]);
        Check([Heads, Wanted], statements: true, [], [Heads, Wanted]);
        Check([Ping, Ack], statements: false, [Ping, Ack], []);
        Check([], statements: true, [], []);
    }

    [Fact]
    public void Statements_pass_when_they_may()
    {
        Check([Statement, Ping, Heads], statements: true, [Statement, Ping], [Heads]);
        Check([Statement, Ping, Heads], statements: false, [Ping], [Statement, Heads]);
    }

    [Fact]
    public void Kinds_of_a_later_version_wait_and_no_byte_is_lost_whatever_it_is()
    {
        byte[] unknown = [250, 0, 3, 1, 2, 3];
        Check([unknown, Ping], statements: true, [Ping], [unknown]);
        Random random = new(7);
        for (int i = 0; i < 2000; i++)
        {
            byte[] noise = new byte[random.Next(200)];
            random.NextBytes(noise);
            ProbeTraffic.Split(noise, true, out ReadOnlyMemory<byte> urgent, out ReadOnlyMemory<byte> rest);
            Assert.Equal(noise.Order(), urgent.ToArray().Concat(rest.ToArray()).Order());
        }
    }

    private static void Check(byte[][] frames, bool statements, byte[][] passing, byte[][] waiting)
    {
        ProbeTraffic.Split(frames.SelectMany(f => f).ToArray(), statements, out ReadOnlyMemory<byte> urgent, out ReadOnlyMemory<byte> rest);
        Assert.Equal(passing.SelectMany(f => f), urgent.ToArray());
        Assert.Equal(waiting.SelectMany(f => f), rest.ToArray());
    }
}
