namespace Kcore.Netlink.Route;

/// <summary>The marks Kcore leaves on kernel objects it made, so that it never touches anybody else's.</summary>
public static class KcoreMark
{
    /// <summary>Device group (IFLA_GROUP), settable in the creation message and therefore atomic: "kc".</summary>
    public const uint LinkGroup = 0x6b63;

    /// <summary>Originator of addresses (IFA_PROTO), neighbours (NDA_PROTOCOL) and routes (rtm_protocol).</summary>
    public const byte Protocol = 0x6b;
}
