using System.Net;
using Kcore.Gossip;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Daemon.Dataplane.Paths;

/// <summary>Writes probes and believes those of members of the own cluster. It knows keys, but no socket and no clock.</summary>
internal sealed class PathTalk(NodeId self, KeyRing ring)
{
    private readonly Dictionary<uint, byte[]> _keys = [];
    private int _ringVersion = -1;

    /// <summary>The bytes after the IPv4 header; empty when the key was retired at this moment.</summary>
    public byte[] Question(PathQuestion question, IPAddress local, ClusterScope cluster) =>
        Packet(new PathMessage(PathMessageKind.Question, question.Bytes, ring.Active.KeyId, self, question.Node, question.Nonce), question.Bytes, local, question.Address, cluster);

    /// <summary>As small as can be, whatever the question was, and sealed with its key.</summary>
    public byte[] Answer(PathMessage question, IPAddress local, IPAddress to, ClusterScope cluster) =>
        Packet(question with { Kind = PathMessageKind.Answer, From = self, To = question.From }, PathPacket.BytesMin, local, to, cluster);

    /// <summary>What a packet says, if a member of this cluster sent it to this node and it arrived whole; null otherwise. Anything may be in it.</summary>
    /// <param name="cluster">Null before the node is in one.</param>
    public PathMessage? Read(ReadOnlySpan<byte> packet, ClusterScope? cluster, out IPAddress from)
    {
        if (!PathPacket.TryRead(packet, out ReadOnlySpan<byte> bytes, out from)
            || PathMessage.Read(bytes) is not { } message
            || message.To != self
            || message.From == self
            || message.Bytes > PathPacket.BytesMax
            || cluster is not { } scope
            || KeyOf(message.KeyId) is not { } key
            || !PathMessage.IsGenuine(bytes, key, scope))
        {
            return null;
        }

        return message.Kind == PathMessageKind.Answer || message.Bytes == packet.Length ? message : null;
    }

    private byte[] Packet(PathMessage message, int bytes, IPAddress from, IPAddress to, ClusterScope cluster)
    {
        if (KeyOf(message.KeyId) is not { } key)
        {
            return [];
        }

        byte[] datagram = new byte[bytes - PathPacket.IpHeader];
        PathPacket.Write(datagram, from, to, message.Nonce, room => message.Write(room, key, cluster));
        return datagram;
    }

    private byte[]? KeyOf(uint id)
    {
        KeyRing.Content now = ring.Current;
        if (now.Version != _ringVersion)
        {
            _keys.Clear();
            _ringVersion = now.Version;
        }

        if (!_keys.TryGetValue(id, out byte[]? key) && now.Secrets.FirstOrDefault(s => s.KeyId == id) is { } secret)
        {
            key = new byte[32];
            if (!secret.TryDerive("kcore-path-probe-v1"u8, key))
            {
                return null;
            }

            _keys[id] = key;
        }

        return key;
    }
}
