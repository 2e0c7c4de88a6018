namespace Kcore.Netlink;

/// <summary>Why the kernel refused something.</summary>
/// <param name="Errno">The error number, positive.</param>
/// <param name="Text">The kernel's own words (extended ACK), when it gave any.</param>
/// <param name="Offset">Byte offset of the offending attribute inside the request message, when the kernel told.</param>
public sealed record NetlinkError(Errno Errno, string? Text = null, int? Offset = null)
{
    public override string ToString() =>
        (Text, Offset) switch
        {
            (null, null) => $"{Errno}",
            (null, { } offset) => $"{Errno} (attribute at byte {offset})",
            ({ } text, null) => $"{Errno}: {text}",
            ({ } text, { } offset) => $"{Errno}: {text} (attribute at byte {offset})",
        };
}
