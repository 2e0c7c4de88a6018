namespace Kcore.Daemon.Ipam;

/// <summary>One NIC attach in its life: 128 random bits stored by the node before it first asks for an address.</summary>
public readonly record struct AttachmentId(Guid Value) : IComparable<AttachmentId>
{
    public int CompareTo(AttachmentId other) => Value.CompareTo(other.Value);

    public static bool operator <(AttachmentId left, AttachmentId right) => left.CompareTo(right) < 0;

    public static bool operator >(AttachmentId left, AttachmentId right) => left.CompareTo(right) > 0;

    public static bool operator <=(AttachmentId left, AttachmentId right) => left.CompareTo(right) <= 0;

    public static bool operator >=(AttachmentId left, AttachmentId right) => left.CompareTo(right) >= 0;

    public override string ToString() => Value.ToString("N");
}

/// <summary>One creation of a network: a network deleted and created again under its name has another uid.</summary>
public readonly record struct NetworkUid(Guid Value) : IComparable<NetworkUid>
{
    public int CompareTo(NetworkUid other) => Value.CompareTo(other.Value);

    public static bool operator <(NetworkUid left, NetworkUid right) => left.CompareTo(right) < 0;

    public static bool operator >(NetworkUid left, NetworkUid right) => left.CompareTo(right) > 0;

    public static bool operator <=(NetworkUid left, NetworkUid right) => left.CompareTo(right) <= 0;

    public static bool operator >=(NetworkUid left, NetworkUid right) => left.CompareTo(right) >= 0;

    public override string ToString() => Value.ToString("N");
}
