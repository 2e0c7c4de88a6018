using System.ComponentModel.DataAnnotations;

namespace Kcore.Daemon.Hosting;

/// <summary>How this node judges the others.</summary>
internal sealed class MembershipOptions
{
    public const string Section = "Membership";

    /// <summary>
    /// <c>lan</c> knows of a crash in some four seconds; <c>lan-safe</c> declares nobody dead within eight seconds of silence,
    /// for hosts that stand still now and then.
    /// </summary>
    [RegularExpression("^(lan|lan-safe)$", ErrorMessage = "membership.profile: lan or lan-safe")]
    public string Profile { get; set; } = "lan";
}
