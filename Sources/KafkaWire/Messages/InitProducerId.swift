/// A producer asks for its identity, idempotent or transactional (KIP-98); v3 bumps the epoch of
/// one it has (KIP-360), v6 belongs to two-phase commit (KIP-939).
package struct InitProducerIdRequest: WireRequest {
  package typealias Response = InitProducerIdResponse
  package static var api: APIKey { .initProducerId }

  package var transactionalId: String? = ""
  package var transactionTimeoutMs: Int32 = 0
  package var producerId: Int64 = -1
  package var producerEpoch: Int16 = -1
  package var enable2Pc: Bool = false
  package var keepPreparedTxn: Bool = false

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("transactionalId", &transactionalId)
    try v.field("transactionTimeoutMs", &transactionTimeoutMs)
    try v.field("producerId", &producerId, .since(3), absent: -1)
    try v.field("producerEpoch", &producerEpoch, .since(3), absent: -1)
    try v.field("enable2Pc", &enable2Pc, .since(6))
    try v.field("keepPreparedTxn", &keepPreparedTxn, .since(6))
  }
}

/// The producer's id and epoch, which fence all earlier ones.
package struct InitProducerIdResponse: WireResponse {
  package static var api: APIKey { .initProducerId }

  package var throttleTimeMs: Int32 = 0
  package var errorCode = ErrorCode.none
  package var producerId: Int64 = -1
  package var producerEpoch: Int16 = 0
  package var ongoingTxnProducerId: Int64 = -1
  package var ongoingTxnProducerEpoch: Int16 = -1

  package init() {}

  package mutating func walk<V: WireVisitor>(_ v: inout V) throws(WireError) {
    try v.field("throttleTimeMs", &throttleTimeMs)
    try v.field("errorCode", &errorCode)
    try v.field("producerId", &producerId)
    try v.field("producerEpoch", &producerEpoch)
    try v.field("ongoingTxnProducerId", &ongoingTxnProducerId, .since(6), absent: -1)
    try v.field("ongoingTxnProducerEpoch", &ongoingTxnProducerEpoch, .since(6), absent: -1)
  }
}
