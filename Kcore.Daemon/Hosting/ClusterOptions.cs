using System.ComponentModel.DataAnnotations;

namespace Kcore.Daemon.Hosting;

/// <summary>How this node meets the others.</summary>
internal sealed class ClusterOptions
{
    public const string Section = "Cluster";

    [Range(1, 65535, ErrorMessage = "cluster.gossipPort: 1 to 65535")]
    public int GossipPort { get; set; } = 7946;

    [Range(1, 65535, ErrorMessage = "cluster.raftPort: 1 to 65535")]
    public int RaftPort { get; set; } = 7947;

    /// <summary>Comma-separated <c>HOST[:PORT]</c> of members to ask first.</summary>
    public string? Join { get; set; }

    [RegularExpression("^(mdns|off)$", ErrorMessage = "cluster.discovery: mdns or off")]
    public string Discovery { get; set; } = "mdns";

    [Required]
    public string KeyFile { get; set; } = "/etc/kcore/cluster.key";

    /// <summary><c>auto</c> founds a cluster when none answers; <c>never</c> waits for one.</summary>
    [RegularExpression("^(auto|never)$", ErrorMessage = "cluster.found: auto or never")]
    public string Found { get; set; } = "auto";
}
