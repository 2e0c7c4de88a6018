using System.ComponentModel.DataAnnotations;

namespace Kcore.Daemon.Hosting;

/// <summary>Who this node is and where it keeps things.</summary>
internal sealed class NodeOptions
{
    public const string Section = "Node";

    private const string NamePattern = "^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$";

    /// <summary>Unique in the cluster; null takes the host name.</summary>
    [RegularExpression(NamePattern, ErrorMessage = "node.name: 1 to 63 letters, digits, dots and dashes, beginning and ending with a letter or digit")]
    public string? Name { get; set; }

    /// <summary>Address or interface name other nodes reach this one at; null takes the default route's device.</summary>
    public string? Advertise { get; set; }

    [Required]
    public string DataDir { get; set; } = "/var/lib/kcore";

    [Required]
    public string Socket { get; set; } = Contracts.Routes.DefaultSocket;

    /// <summary>Minimum level of the log: debug, info, warn or error; the long words and trace (verbose) are understood too.</summary>
    [RegularExpression("^(?i:verbose|trace|debug|info|information|warn|warning|error)$", ErrorMessage = "node.logLevel: one of trace, debug, info, warn, error")]
    public string LogLevel { get; set; } = "info";

    /// <summary>Who keeps helper processes: <c>systemd</c> or <c>process</c>; null asks whether systemd is process 1.</summary>
    [RegularExpression("^(systemd|process)$", ErrorMessage = "node.supervisor: systemd or process")]
    public string? Supervisor { get; set; }

    public static bool IsName(string text) => new RegularExpressionAttribute(NamePattern).IsValid(text) && text.Length > 0;
}
