using System.Buffers.Binary;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Daemon.Cluster.Members;

/// <summary>
/// What opens a gossip stream: cluster id and epoch, then the request of the core. A node of another cluster with the same key, or of another
/// epoch, is told nothing and tells nothing, as with datagrams.
/// </summary>
internal static class ScopedRequest
{
    private const int ScopeBytes = 20;

    public static ReadOnlyMemory<byte> Encode(ClusterScope scope, ReadOnlyMemory<byte> request)
    {
        byte[] body = new byte[ScopeBytes + request.Length];
        WriteScope(scope, body);
        request.Span.CopyTo(body.AsSpan(ScopeBytes));
        return body;
    }

    /// <exception cref="InvalidDataException">It is of another cluster or epoch, or too short to say.</exception>
    public static ReadOnlyMemory<byte> Decode(ClusterScope scope, ReadOnlyMemory<byte> body)
    {
        Span<byte> own = stackalloc byte[ScopeBytes];
        WriteScope(scope, own);
        return body.Length >= ScopeBytes && body.Span[..ScopeBytes].SequenceEqual(own)
            ? body[ScopeBytes..]
            : throw new InvalidDataException("a gossip stream of another cluster or epoch");
    }

    private static void WriteScope(ClusterScope scope, Span<byte> target)
    {
        BinaryPrimitives.WriteUInt128BigEndian(target, scope.ClusterId);
        BinaryPrimitives.WriteUInt32BigEndian(target[16..], scope.ClusterEpoch);
    }
}
