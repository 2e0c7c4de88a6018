using System.Net;
using Kcore.Netlink.Messages;
using Kcore.Netlink.Route;
using Kcore.Netlink.Wireguard;

namespace Kcore.Netlink.Tests.Wireguard;

/// <summary>Exact bytes after linux/genetlink.h and linux/wireguard.h: a kernel without WireGuard cannot say whether they are right.</summary>
public sealed class WireguardMessagesTests
{
    private const ushort Family = 0x21;
    private static readonly byte[] Secret = [.. Enumerable.Range(0, 32).Select(i => (byte)i)];
    private static readonly byte[] Peer = [.. Enumerable.Repeat((byte)0xab, 32)];
    private static readonly IPNetwork Only = IPNetwork.Parse("100.127.192.7/32");
    private readonly byte[] _buffer = new byte[4096];

    [Fact]
    public void A_device_is_made_with_its_kind_group_and_mtu()
    {
        var batch = new RouteBatch();
        batch.CreateWireguard(new WireguardSpec { Name = "kwg0", Mtu = 1440, Up = false });
        Hex.Equal(
            "54000000 1000 0106 00000000 00000000" + "00 00 0000 00000000 00000000 00000000"
            + "0900 0300 6B77673000 000000" + "0800 1B00 636B0000" + "0800 0400 A0050000"
            + "1800 1280" + "0E00 0100 776972656775617264 00 0000" + "0400 0280",
            batch.Message(0));
    }

    [Fact]
    public void The_family_is_asked_for_by_name() => Hex.Equal(
        "24000000 1000 0100 00000000 00000000" + "03 02 0000" + "0E00 0200 776972656775617264 00 0000",
        WireguardMessages.GetFamily(_buffer));

    [Fact]
    public void A_device_is_read_by_a_dump() => Hex.Equal(
        "20000000 2100 0103 00000000 00000000" + "00 01 0000" + "0900 0200 6B77673000 000000",
        WireguardMessages.GetDevice(_buffer, Family, "kwg0"));

    [Fact]
    public void Key_port_and_one_peer_are_set_in_one_message() => Hex.Equal(
        "BC000000 2100 0500 00000000 00000000" + "01 01 0000" + "0900 0200 6B77673000 000000"
        + "2400 0300 000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"
        + "0600 0600 6CCA 0000"
        + "7000 0880" + "6C00 0080"
        + "2400 0100 " + Repeat("AB", 32)
        + "0800 0300 02000000"
        + "1400 0400 0200 CA6C C000020C 0000000000000000"
        + "0600 0500 1900 0000"
        + "2000 0980" + "1C00 0080" + "0600 0100 0200 0000" + "0800 0200 647FC007" + "0500 0300 20 000000",
        WireguardMessages.SetDevice(_buffer, Family, "kwg0", new WireguardChange
        {
            PrivateKey = Secret,
            ListenPort = 51820,
            Peers = [new WireguardPeerChange(Peer) { Endpoint = IPEndPoint.Parse("192.0.2.12:51820"), AllowedIps = [Only], Keepalive = 25 }],
        }));

    [Fact]
    public void A_peer_goes_by_a_flag_and_nothing_else() => Hex.Equal(
        "54000000 2100 0500 00000000 00000000" + "01 01 0000" + "0900 0200 6B77673000 000000"
        + "3400 0880" + "3000 0080" + "2400 0100" + Repeat("AB", 32) + "0800 0300 01000000",
        WireguardMessages.SetDevice(_buffer, Family, "kwg0", new WireguardChange { Peers = [new WireguardPeerChange(Peer) { Remove = true, Keepalive = 25 }] }));

    [Fact]
    public void An_endpoint_of_the_newer_family_has_its_own_form() => Hex.Equal(
        "6C000000 2100 0500 00000000 00000000" + "01 01 0000" + "0900 0200 6B77673000 000000"
        + "4C00 0880" + "4800 0080" + "2400 0100" + Repeat("AB", 32)
        + "2000 0400 0A00 CA6C 00000000 20010DB8000000000000000000000001 00000000",
        WireguardMessages.SetDevice(_buffer, Family, "kwg0", new WireguardChange
        {
            Peers = [new WireguardPeerChange(Peer) { Endpoint = IPEndPoint.Parse("[2001:db8::1]:51820") }],
        }));

    [Fact]
    public void What_the_kernel_says_of_a_device_is_read()
    {
        WireguardInfo seen = new(default, 0, []);
        seen = Merge(seen,
            "BC000000 2100 0200 01000000 00000000" + "00 01 0000"
            + "2400 0300 000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F" + "0600 0600 6CCA 0000"
            + "7C00 0880" + "7800 0080" + "2400 0100" + Repeat("AB", 32)
            + "1400 0400 0200 CA6C C000020C 0000000000000000"
            + "0600 0500 1900 0000"
            + "1400 0600 00F15365 00000000 0000000000000000"
            + "2000 0980" + "1C00 0080" + "0600 0100 0200 0000" + "0800 0200 647FC007" + "0500 0300 20 000000");
        Assert.Equal(Secret, seen.PrivateKey.ToArray());
        Assert.Equal(51820, seen.ListenPort);
        WireguardPeerInfo peer = Assert.Single(seen.Peers);
        Assert.Equal(Peer, peer.PublicKey.ToArray());
        Assert.Equal(IPEndPoint.Parse("192.0.2.12:51820"), peer.Endpoint);
        Assert.Equal(25, peer.Keepalive);
        Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000), peer.LastHandshake);
        Assert.Equal([Only], peer.AllowedIps.ToArray());
    }

    [Fact]
    public void A_peer_whose_addresses_go_on_in_the_next_message_is_one_peer()
    {
        string head = "00 01 0000";
        string first = "4C00 0880" + "4800 0080" + "2400 0100" + Repeat("AB", 32) + Allowed("647FC007");
        string second = "4C00 0880" + "4800 0080" + "2400 0100" + Repeat("AB", 32) + Allowed("647FC008");
        WireguardInfo seen = Merge(Merge(new(default, 0, []), "60000000 2100 0200 01000000 00000000" + head + first), "60000000 2100 0200 01000000 00000000" + head + second);

        Assert.Equal([Only, IPNetwork.Parse("100.127.192.8/32")], Assert.Single(seen.Peers).AllowedIps.ToArray());
    }

    [Fact]
    public void Bytes_cut_off_anywhere_are_an_error_or_less_and_never_more()
    {
        byte[] whole = Hex.Bytes(
            "60000000 2100 0200 01000000 00000000" + "00 01 0000" + "4C00 0880" + "4800 0080" + "2400 0100" + Repeat("AB", 32) + Allowed("647FC007"));
        for (int length = 20; length < whole.Length; length++)
        {
            byte[] cut = whole[..length];
            BitConverter.TryWriteBytes(cut, length);
            try
            {
                Assert.True(Read(new(default, 0, []), cut).Peers.Length <= 1);
            }
            catch (NetlinkException e)
            {
                Assert.Equal(Errno.EBADMSG, e.Errno);
            }
        }
    }

    private static string Allowed(string address) =>
        "2000 0980" + "1C00 0080" + "0600 0100 0200 0000" + $"0800 0200 {address}" + "0500 0300 20 000000";

    private static WireguardInfo Merge(WireguardInfo seen, string hex) => Read(seen, Hex.Bytes(hex));

    private static WireguardInfo Read(WireguardInfo seen, byte[] bytes)
    {
        var reader = new MessageReader(bytes);
        Assert.True(reader.TryRead(out NetlinkMessage message));
        return WireguardMessages.Merge(seen, message);
    }

    private static string Repeat(string text, int times) => string.Concat(Enumerable.Repeat(text, times));
}
