using System.Net;

namespace Kcore.Netlink.Route;

/// <summary>An address on a link.</summary>
/// <param name="LinkIndex">The link that has it.</param>
/// <param name="Address">The local address.</param>
/// <param name="PrefixLength">Bits.</param>
/// <param name="Protocol">Who put it there (IFA_PROTO); 0 when unknown, also on kernels before 5.18.</param>
/// <param name="Flags">IFA_F_*.</param>
/// <param name="Scope">0 global, 253 link, 254 host.</param>
public sealed record AddressInfo(
    int LinkIndex, IPAddress Address, int PrefixLength, byte Protocol, AddressFlags Flags, byte Scope);

/// <summary>IFA_F_* (linux/if_addr.h).</summary>
[Flags]
public enum AddressFlags : uint
{
    None = 0,
    Secondary = 0x01,
    NoDad = 0x02,
    Tentative = 0x40,
    Permanent = 0x80,
    NoPrefixRoute = 0x200,
}
