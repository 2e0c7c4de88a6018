using System.Text.Json.Serialization;

namespace Kcore.Contracts;

/// <summary>Category of a refusal; <c>kctl</c> turns it into its exit code, so a category never changes meaning.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ErrorCode>))]
public enum ErrorCode
{
    /// <summary>A bug in Kcore; the request may be tried again.</summary>
    Internal,
    InvalidArgument,
    NotFound,
    AlreadyExists,
    FailedPrecondition,
    ResourceExhausted,
    PermissionDenied,

    /// <summary>Nothing is wrong with the request; the cluster cannot serve it now (for example, no quorum).</summary>
    Unavailable,
}
