using System.Security.Cryptography;
using Kcore.Daemon.Catalog.Facts;

namespace Kcore.Daemon.Dataplane.Mesh;

/// <summary>This node's pair of WireGuard keys. The private half prints as nothing, so that no log can hold it.</summary>
internal sealed class MeshKey
{
    private readonly byte[] _secret;

    private MeshKey(byte[] secret)
    {
        _secret = secret;
        Public = WireguardKey.TryFrom(Curve25519.PublicKey(secret))!;
    }

    /// <summary>32 bytes, in the form that WireGuard keeps them (clamped).</summary>
    public ReadOnlyMemory<byte> Secret => _secret;

    public WireguardKey Public { get; }

    /// <summary>One that nobody can guess.</summary>
    public static MeshKey Make()
    {
        byte[] secret = new byte[Curve25519.ByteCount];
        RandomNumberGenerator.Fill(secret);
        Curve25519.Clamp(secret);
        return new MeshKey(secret);
    }

    /// <summary>Null when these are not the bytes of a private key.</summary>
    public static MeshKey? From(ReadOnlySpan<byte> secret)
    {
        if (secret.Length != Curve25519.ByteCount || !secret.ContainsAnyExcept((byte)0))
        {
            return null;
        }

        byte[] own = secret.ToArray();
        Curve25519.Clamp(own);
        return new MeshKey(own);
    }

    public override string ToString() => $"the pair of {Public}";
}
