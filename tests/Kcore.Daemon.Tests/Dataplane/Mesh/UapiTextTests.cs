using System.Net;
using Kcore.Daemon.Dataplane.Mesh;
using Kcore.Netlink.Wireguard;

namespace Kcore.Daemon.Tests.Dataplane.Mesh;

public sealed class UapiTextTests
{
    private static readonly byte[] Secret = [.. Enumerable.Range(0, 32).Select(i => (byte)i)];
    private static readonly byte[] Peer = [.. Enumerable.Repeat((byte)0xab, 32)];
    private static readonly string PeerHex = string.Concat(Enumerable.Repeat("ab", 32));

    [Fact]
    public void What_is_to_change_is_told_line_by_line() => Assert.Equal(
        "set=1\nprivate_key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\nlisten_port=51820\n"
        + $"public_key={PeerHex}\nremove=true\n"
        + $"public_key={PeerHex}\nendpoint=[2001:db8::1]:51820\nreplace_allowed_ips=true\nallowed_ip=100.127.192.7/32\npersistent_keepalive_interval=25\n\n",
        UapiText.Set(new WireguardChange
        {
            PrivateKey = Secret,
            ListenPort = 51820,
            Peers =
            [
                new WireguardPeerChange(Peer) { Remove = true },
                new WireguardPeerChange(Peer) { Endpoint = IPEndPoint.Parse("[2001:db8::1]:51820"), AllowedIps = [IPNetwork.Parse("100.127.192.7/32")], Keepalive = 25 },
            ],
        }));

    [Fact]
    public void An_answer_is_read_with_what_it_says_of_each_peer()
    {
        WireguardInfo seen = UapiText.Read(
            "private_key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\nlisten_port=51820\nfwmark=0\n"
            + $"public_key={PeerHex}\npreshared_key={new string('0', 64)}\nprotocol_version=1\nendpoint=192.0.2.12:51820\nlast_handshake_time_sec=1700000000\n"
            + "last_handshake_time_nsec=5\ntx_bytes=1\nrx_bytes=2\npersistent_keepalive_interval=25\nallowed_ip=100.127.192.7/32\n"
            + $"public_key={PeerHex.Replace('a', 'c')}\nlast_handshake_time_sec=0\nerrno=0\n\n")!;

        Assert.Equal(Secret, seen.PrivateKey.ToArray());
        Assert.Equal(51820, seen.ListenPort);
        Assert.Equal(2, seen.Peers.Length);
        Assert.Equal(Peer, seen.Peers[0].PublicKey.ToArray());
        Assert.Equal(IPEndPoint.Parse("192.0.2.12:51820"), seen.Peers[0].Endpoint);
        Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(1700000000), seen.Peers[0].LastHandshake);
        Assert.Equal(IPNetwork.Parse("100.127.192.7/32"), Assert.Single(seen.Peers[0].AllowedIps));
        Assert.Equal(25, seen.Peers[0].Keepalive);
        Assert.Null(seen.Peers[1].LastHandshake);
        Assert.Null(seen.Peers[1].Endpoint);
    }

    [Theory]
    [InlineData("no equals sign")]
    [InlineData("private_key=zz")]
    [InlineData("listen_port=65536")]
    [InlineData("endpoint=192.0.2.12:51820")]
    [InlineData("public_key=ab")]
    [InlineData("allowed_ip=100.127.192.7/33")]
    public void What_is_not_an_answer_is_not_read(string text) => Assert.Null(UapiText.Read(text + "\nerrno=0\n\n"));

    [Theory]
    [InlineData("errno=0\n\n", 0)]
    [InlineData("listen_port=1\nerrno=-22\n\n", -22)]
    [InlineData("listen_port=1\n", null)]
    [InlineData("", null)]
    public void The_outcome_is_the_number_of_the_error(string answer, int? errno) => Assert.Equal(errno, UapiText.Errno(answer));
}
