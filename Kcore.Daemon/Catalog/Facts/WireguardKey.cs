namespace Kcore.Daemon.Catalog.Facts;

/// <summary>A public key of WireGuard: 32 bytes (Curve25519), equal by content.</summary>
internal sealed class WireguardKey : IEquatable<WireguardKey>
{
    public const int ByteCount = 32;

    private readonly byte[] _bytes;

    private WireguardKey(byte[] bytes) => _bytes = bytes;

    public ReadOnlySpan<byte> Bytes => _bytes;

    /// <summary>Null when these cannot be one: another length, or the zeros that mean "no key".</summary>
    public static WireguardKey? TryFrom(ReadOnlySpan<byte> bytes) =>
        bytes.Length == ByteCount && bytes.ContainsAnyExcept((byte)0) ? new WireguardKey(bytes.ToArray()) : null;

    /// <summary>As <c>wg</c> prints it.</summary>
    public override string ToString() => Convert.ToBase64String(_bytes);

    public bool Equals(WireguardKey? other) => other is not null && _bytes.AsSpan().SequenceEqual(other._bytes);

    public override bool Equals(object? obj) => Equals(obj as WireguardKey);

    public override int GetHashCode() => BitConverter.ToInt32(_bytes);
}
