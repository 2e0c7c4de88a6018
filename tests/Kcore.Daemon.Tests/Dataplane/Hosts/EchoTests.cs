using System.Net;
using Kcore.Daemon.Dataplane.Hosts;

namespace Kcore.Daemon.Tests.Dataplane.Hosts;

public sealed class EchoTests
{
    private static readonly byte[] Cookie = [.. Enumerable.Range(1, EchoPacket.CookieBytes).Select(i => (byte)i)];

    [Fact]
    public void A_request_is_byte_for_byte_what_RFC_792_says()
    {
        byte[] packet = new byte[EchoPacket.Bytes];
        EchoPacket.WriteRequest(packet, 0x1234, 0x0007, Cookie);

        // The checksum was computed by an independent program.
        Assert.Equal("0800A57C123400070102030405060708090A0B0C0D0E0F10", Convert.ToHexString(packet));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Only_an_echo_reply_with_our_secret_is_an_answer(bool hasIpHeader)
    {
        byte[] reply = Reply(hasIpHeader);
        Assert.True(EchoPacket.IsReply(reply, hasIpHeader, Cookie));

        // Every single byte but those that routers and the identifier change matters, and so does the length.
        int icmp = hasIpHeader ? 20 : 0;
        foreach (int at in (int[])[icmp, icmp + 1, icmp + 8, reply.Length - 1])
        {
            byte[] other = [.. reply];
            other[at] ^= 1;
            Assert.False(EchoPacket.IsReply(other, hasIpHeader, Cookie));
        }

        for (int length = 0; length < reply.Length; length++)
        {
            Assert.False(EchoPacket.IsReply(reply.AsSpan(0, length), hasIpHeader, Cookie));
        }

        Assert.False(EchoPacket.IsReply([.. reply, 0], hasIpHeader, Cookie));
    }

    [Fact]
    public void An_IP_header_that_claims_more_than_there_is_is_no_answer()
    {
        byte[] reply = Reply(hasIpHeader: true);
        for (int length = 0; length <= 15; length++)
        {
            reply[0] = (byte)(0x40 | length);
            Assert.Equal(length == 5, EchoPacket.IsReply(reply, hasIpHeader: true, Cookie));
        }
    }

    [SkippableFact]
    public async Task The_loopback_host_answers()
    {
        using var socket = EchoSocket.Open(out string? refusal);
        Skip.If(socket is null, $"no ICMP socket here: {refusal}");

        // It listens before it asks, as the prober does.
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        Task<IPAddress?> listening = socket.ReceiveAsync(limit.Token);
        Assert.True(socket.TrySend(IPAddress.Loopback));
        IPAddress? answer = await listening;
        while (answer is null)
        {
            answer = await socket.ReceiveAsync(limit.Token);
        }

        Assert.Equal(IPAddress.Loopback, answer);
    }

    private static byte[] Reply(bool hasIpHeader)
    {
        byte[] packet = new byte[EchoPacket.Bytes];
        EchoPacket.WriteRequest(packet, 1, 1, Cookie);
        packet[0] = 0;
        return hasIpHeader ? [0x45, .. new byte[19], .. packet] : packet;
    }
}
