using System.Net;
using System.Net.NetworkInformation;

namespace Kcore.Daemon.Ipam;

/// <summary>A NIC that goes from one node to another, with everything the other needs to make its device.</summary>
/// <param name="Attachment">The NIC; it keeps this id, its MAC and its address.</param>
/// <param name="Network">The network on the node it goes to: another one than before, of the same name, where each node has its own.</param>
/// <param name="Name">Up to 255 bytes of UTF-8.</param>
/// <param name="Mac">Six bytes.</param>
/// <param name="Address">Null when others gave it one.</param>
/// <param name="From">The node it is on.</param>
/// <param name="To">The node it goes to.</param>
/// <param name="IsLeased">Its address is a lease of the log, which changes hands with it.</param>
/// <param name="AllowSpoofing">The guest may send in other names than its own.</param>
/// <param name="Netns">Absolute path of the namespace it leads into there, up to 255 bytes; null for a TAP.</param>
/// <param name="Ifname">Its name inside; null for a TAP.</param>
public sealed record MovingNic(
    AttachmentId Attachment,
    NetworkUid Network,
    string Name,
    PhysicalAddress Mac,
    IPAddress? Address,
    Guid From,
    Guid To,
    bool IsLeased,
    bool AllowSpoofing = false,
    string? Netns = null,
    string? Ifname = null);

/// <summary>One move under way.</summary>
/// <param name="Move">128 random bits: another attempt is another move.</param>
/// <param name="Nic">What moves, and where to.</param>
/// <param name="Begun">The log index at which it began.</param>
/// <param name="HandedOver">That at which the NIC became the other node's; 0 before.</param>
/// <param name="SourceKnows">The node it came from has let go of it.</param>
/// <param name="TargetKnows">The node it went to has taken it up.</param>
/// <param name="ChangedIndex">The log index of what was last said about it.</param>
internal sealed record MoveRecord(
    Guid Move, MovingNic Nic, ulong Begun, ulong HandedOver, bool SourceKnows, bool TargetKnows, ulong ChangedIndex)
{
    public bool IsPending => HandedOver == 0;
}
