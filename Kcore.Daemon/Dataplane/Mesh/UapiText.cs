using System.Globalization;
using System.Net;
using System.Text;
using Kcore.Netlink.Wireguard;

namespace Kcore.Daemon.Dataplane.Mesh;

/// <summary>The configuration protocol of WireGuard in user space: lines KEY=VALUE, an empty one at the end (wireguard.com/xplatform).</summary>
internal static class UapiText
{
    public const string Get = "get=1\n\n";

    public static string Set(WireguardChange change)
    {
        StringBuilder text = new("set=1\n");
        if (change.PrivateKey is { } secret)
        {
            text.Append(CultureInfo.InvariantCulture, $"private_key={Convert.ToHexStringLower(secret.Span)}\n");
        }

        if (change.ListenPort is { } port)
        {
            text.Append(CultureInfo.InvariantCulture, $"listen_port={port}\n");
        }

        foreach (WireguardPeerChange peer in change.Peers)
        {
            text.Append(CultureInfo.InvariantCulture, $"public_key={Convert.ToHexStringLower(peer.PublicKey.Span)}\n");
            if (peer.Remove)
            {
                text.Append("remove=true\n");
                continue;
            }

            if (peer.Endpoint is { } endpoint)
            {
                text.Append(CultureInfo.InvariantCulture, $"endpoint={endpoint}\n");
            }

            if (peer.AllowedIps is { } allowed)
            {
                text.Append("replace_allowed_ips=true\n");
                foreach (IPNetwork network in allowed)
                {
                    text.Append(CultureInfo.InvariantCulture, $"allowed_ip={network}\n");
                }
            }

            // Last: a keepalive begins with a handshake, which needs to know where to.
            if (peer.Keepalive is { } keepalive)
            {
                text.Append(CultureInfo.InvariantCulture, $"persistent_keepalive_interval={keepalive}\n");
            }
        }

        return text.Append('\n').ToString();
    }

    /// <summary>The error number of an answer, 0 for none; null when it says nothing of the kind.</summary>
    public static int? Errno(string answer)
    {
        foreach (string line in answer.Split('\n'))
        {
            if (line.StartsWith("errno=", StringComparison.Ordinal) && int.TryParse(line.AsSpan(6), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int errno))
            {
                return errno;
            }
        }

        return null;
    }

    /// <summary>Keys this version does not know are skipped; null when a value is not what its key says.</summary>
    public static WireguardInfo? Read(string answer)
    {
        var seen = new WireguardInfo(default, 0, []);
        List<WireguardPeerInfo> peers = [];
        foreach (string line in answer.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.IndexOf('=', StringComparison.Ordinal) is var at && at < 0)
            {
                return null;
            }

            string key = line[..at];
            string value = line[(at + 1)..];
            bool isRead = key switch
            {
                "private_key" => Key(value) is { } secret && Take(seen with { PrivateKey = secret }),
                "listen_port" => ushort.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out ushort port) && Take(seen with { ListenPort = port }),
                "public_key" => Key(value) is { } peer && Begin(peer),
                "endpoint" => IPEndPoint.TryParse(value, out IPEndPoint? endpoint) && Change(p => p with { Endpoint = endpoint }),
                "persistent_keepalive_interval" => ushort.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out ushort interval) && Change(p => p with { Keepalive = interval }),
                "allowed_ip" => IPNetwork.TryParse(value, out IPNetwork network) && Change(p => p with { AllowedIps = p.AllowedIps.Add(network) }),
                "last_handshake_time_sec" => long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out long seconds) && Change(p => p with { LastHandshake = At(seconds) }),
                _ => true,
            };
            if (!isRead)
            {
                return null;
            }
        }

        return seen with { Peers = [.. peers] };

        bool Take(WireguardInfo next)
        {
            seen = next;
            return true;
        }

        bool Begin(byte[] peer)
        {
            peers.Add(new WireguardPeerInfo(peer, null, [], 0, null));
            return true;
        }

        bool Change(Func<WireguardPeerInfo, WireguardPeerInfo> change)
        {
            if (peers.Count == 0)
            {
                return false;
            }

            peers[^1] = change(peers[^1]);
            return true;
        }
    }

    private static byte[]? Key(string hex) =>
        hex.Length == 64 && hex.All(char.IsAsciiHexDigit) ? Convert.FromHexString(hex) : null;

    /// <summary>0 means never; what no calendar has means nothing.</summary>
    private static DateTimeOffset? At(long seconds) =>
        seconds is > 0 and < 253_402_300_800 ? DateTimeOffset.FromUnixTimeSeconds(seconds) : null;
}
