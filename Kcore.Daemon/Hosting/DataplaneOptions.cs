using System.ComponentModel.DataAnnotations;

namespace Kcore.Daemon.Hosting;

/// <summary>What this node may do to its own kernel.</summary>
internal sealed class DataplaneOptions
{
    public const string Section = "Dataplane";

    /// <summary>The node takes no part in overlays; so does the presence of <see cref="DisableMarker"/>.</summary>
    public bool DisableVxlan { get; set; }

    /// <summary>A file whose existence, at start, disables VXLAN (behaviour 50).</summary>
    [Required]
    public string DisableMarker { get; set; } = "/etc/kcore/disable-vxlan";

    /// <summary>Device guests leave the host by; null takes the device of the advertised address.</summary>
    [RegularExpression("^[^/\\s]{1,15}$", ErrorMessage = "dataplane.gatewayInterface: a device name of at most 15 characters")]
    public string? GatewayInterface { get; set; }

    /// <summary>The node has the nat network <c>default</c> of its own.</summary>
    public bool DefaultNetwork { get; set; } = true;
}
