using System.Buffers.Binary;
using System.Net;
using Kcore.Daemon.Dataplane.Paths;
using Kcore.Gossip.Wire.Sealing;
using static Kcore.Daemon.Tests.Catalog.Said;

namespace Kcore.Daemon.Tests.Dataplane.Paths;

/// <summary>Behaviour 119: only members of the own cluster ask and answer, and nobody else gets a byte back.</summary>
public sealed class PathTalkTests : IDisposable
{
    private static readonly IPAddress AddressA = IPAddress.Parse("192.0.2.10");
    private static readonly IPAddress AddressB = IPAddress.Parse("192.0.2.11");
    private static readonly ClusterScope Cluster = new(42, 1);

    private readonly KeyRing _ringA = Ring(1);
    private readonly KeyRing _ringB = Ring(1);
    private readonly PathTalk _a;
    private readonly PathTalk _b;

    public PathTalkTests()
    {
        _a = new PathTalk(A, _ringA);
        _b = new PathTalk(B, _ringB);
    }

    [Theory]
    [InlineData(PathPacket.BytesMin)]
    [InlineData(1399)]
    [InlineData(1500)]
    [InlineData(PathPacket.BytesMax)]
    public void A_question_is_as_long_as_it_says_and_its_answer_as_short_as_can_be(int bytes)
    {
        byte[] question = Question(bytes);
        Assert.Equal(bytes, question.Length);
        PathMessage? heard = _b.Read(question, Cluster, out IPAddress from);
        Assert.Equal(new PathMessage(PathMessageKind.Question, bytes, _ringA.Active.KeyId, A, B, 77), heard);
        Assert.Equal(AddressA, from);

        byte[] answer = Ip(_b.Answer(heard!, AddressB, AddressA, Cluster), AddressB, AddressA);
        Assert.Equal(PathPacket.BytesMin, answer.Length);
        Assert.Equal(new PathMessage(PathMessageKind.Answer, bytes, _ringA.Active.KeyId, B, A, 77), _a.Read(answer, Cluster, out _));
    }

    [Fact]
    public void On_the_wire_it_is_a_vxlan_packet_of_a_vni_no_network_has_with_a_right_checksum()
    {
        byte[] packet = Question(1400);

        Assert.Equal(4789, BinaryPrimitives.ReadUInt16BigEndian(packet.AsSpan(22)));
        Assert.InRange(BinaryPrimitives.ReadUInt16BigEndian(packet.AsSpan(20)), 32768, 60999);
        Assert.Equal([0x08, 0, 0, 0, 0xff, 0xff, 0xff, 0], packet[28..36]);
        Assert.Equal([0x88, 0xb5], packet[48..50]);

        // RFC 768: with the pseudo header and the checksum itself, the sum is all ones.
        uint sum = 17 + 1380;
        foreach (byte[] part in (byte[][])[AddressA.GetAddressBytes(), AddressB.GetAddressBytes(), packet[20..]])
        {
            for (int i = 0; i < part.Length; i += 2)
            {
                sum += BinaryPrimitives.ReadUInt16BigEndian(part.AsSpan(i));
            }
        }

        while (sum > 0xffff)
        {
            sum = (sum & 0xffff) + (sum >> 16);
        }

        Assert.Equal(0xffffu, sum);
    }

    [Fact]
    public void A_question_for_somebody_else_of_another_cluster_or_under_another_key_is_not_heard()
    {
        byte[] question = Question(200);
        using KeyRing other = Ring(9);

        Assert.Null(new PathTalk(C, _ringB).Read(question, Cluster, out _));
        Assert.Null(_b.Read(question, new ClusterScope(43, 1), out _));
        Assert.Null(_b.Read(question, new ClusterScope(42, 2), out _));
        Assert.Null(_b.Read(question, null, out _));
        Assert.Null(new PathTalk(B, other).Read(question, Cluster, out _));
        Assert.Null(_a.Read(Ip(_a.Question(new PathQuestion(A, AddressA, 5, 200), AddressA, Cluster), AddressA, AddressA), Cluster, out _));
    }

    [Fact]
    public void A_packet_with_one_bit_changed_or_one_byte_less_is_not_heard()
    {
        byte[] question = Question(160);
        Assert.NotNull(_b.Read(question, Cluster, out _));
        for (int i = 28; i < question.Length; i++)
        {
            // The reserved bytes of VXLAN and the addresses of the frame are nobody's business.
            if (i is >= 36 and < 48)
            {
                continue;
            }

            for (int bit = 0; bit < 8; bit++)
            {
                question[i] ^= (byte)(1 << bit);
                Assert.True(_b.Read(question, Cluster, out _) is null, $"bit {bit} of byte {i}");
                question[i] ^= (byte)(1 << bit);
            }
        }

        for (int length = 0; length < question.Length; length++)
        {
            Assert.Null(_b.Read(question.AsSpan(0, length), Cluster, out _));
        }
    }

    [Fact]
    public void A_question_that_lost_its_padding_on_the_way_is_not_taken_for_one_of_full_size()
    {
        byte[] question = Question(1500);
        byte[] cut = question[..400];
        BinaryPrimitives.WriteUInt16BigEndian(cut.AsSpan(24), 380);

        Assert.Null(_b.Read(cut, Cluster, out _));
    }

    [Fact]
    public void A_rotated_key_is_used_at_once_and_a_retired_one_not_believed_any_more()
    {
        byte[] old = Question(200);
        var next = new ClusterSecret(Enumerable.Repeat((byte)2, ClusterSecret.Size).ToArray());
        uint first = _ringB.Active.KeyId;
        Assert.True(_ringB.TryAdd(next));
        Assert.True(_ringB.Use(next.KeyId));
        Assert.NotNull(_b.Read(old, Cluster, out _));
        Assert.True(_ringB.Remove(first));

        Assert.Null(_b.Read(old, Cluster, out _));
        byte[] answer = Ip(_b.Question(new PathQuestion(A, AddressA, 1, 200), AddressB, Cluster), AddressB, AddressA);
        Assert.Equal(next.KeyId, PathMessage.Read(answer.AsSpan(50))!.KeyId);
    }

    [Fact]
    public void A_member_gets_a_burst_of_answers_and_then_some_a_second()
    {
        var rules = new PathRules();
        var budget = new AnswerBudget(rules);
        TimeSpan now = TimeSpan.FromHours(1);
        Assert.Equal(rules.AnswerBurst, Enumerable.Range(0, 500).Count(_ => budget.TryTake(B, now)));
        Assert.True(budget.TryTake(C, now));

        now += TimeSpan.FromSeconds(2);
        Assert.Equal(2 * rules.AnswersPerSecond, Enumerable.Range(0, 500).Count(_ => budget.TryTake(B, now)));
    }

    public void Dispose()
    {
        _ringA.Dispose();
        _ringB.Dispose();
    }

    private byte[] Question(int bytes) => Ip(_a.Question(new PathQuestion(B, AddressB, 77, bytes), AddressA, Cluster), AddressA, AddressB);

    /// <summary>As the kernel hands it on: with an IPv4 header.</summary>
    private static byte[] Ip(byte[] datagram, IPAddress from, IPAddress to)
    {
        byte[] packet = [.. new byte[20], .. datagram];
        packet[0] = 0x45;
        packet[9] = 17;
        from.GetAddressBytes().CopyTo(packet, 12);
        to.GetAddressBytes().CopyTo(packet, 16);
        return packet;
    }

    private static KeyRing Ring(byte of) => new(new ClusterSecret(Enumerable.Repeat(of, ClusterSecret.Size).ToArray()));
}
